package main

import (
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/asyncmetric/asyncmetric/jetstream"
	"github.com/asyncmetric/asyncmetric/queue"
)

// settings are what the arguments and the environment say.
type settings struct {
	url      string
	creds    string
	ca       string
	cert     string
	key      string
	http     string
	protocol string
	drain    time.Duration
	queue    []jetstream.Option
}

const (
	grpcProtocol = "grpc"
	httpProtocol = "http/protobuf"
)

// parse reads arguments and environment.
func parse(args []string, getenv func(string) string, stderr io.Writer) (*settings, error) {
	s := new(settings)
	flags := flag.NewFlagSet("relay", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.url, "nats", "", "addresses of the broker, separated by commas; if empty: NATS_URL, then "+nats.DefaultURL)
	flags.StringVar(&s.creds, "creds", "", "file with credentials of NATS")
	flags.StringVar(&s.ca, "tls-ca", "", "file with the certificates that the broker's is checked against")
	flags.StringVar(&s.cert, "tls-cert", "", "file with the certificate of the relay")
	flags.StringVar(&s.key, "tls-key", "", "file with the key of that")
	flags.StringVar(&s.http, "http", "127.0.0.1:4319", "address of /healthz and /statusz; empty: none")
	flags.DurationVar(&s.drain, "drain", 10*time.Second, "how long to deliver after SIGTERM")
	stream := flags.String("stream", "ASYNCMETRIC", "name of the stream")
	subject := flags.String("subject", "asyncmetric", "what the subjects begin with")
	existing := flags.Bool("existing", false, "do not make the stream")
	replicas := flags.Int("replicas", 1, "replicas of a stream that is made; one that exists must have as many if this is given")
	partitions := flags.Int("partitions", 4, "partitions of a stream that is made; one that exists must have as many if this is given")
	maxBytes := flags.Int64("max-bytes", 1<<30, "how many bytes a stream that is made may have")
	maxAge := flags.Duration("max-age", 0, "how long a stream that is made keeps a collection; 0: no limit")
	dropOldest := flags.Bool("drop-oldest", false, "a stream that is made discards the oldest when it is full; otherwise it refuses the newest")
	memory := flags.Bool("memory", false, "a stream that is made is kept in memory, not in files")
	takeover := flags.Duration("takeover", 5*time.Second, "after what time a relay is taken for dead; that of the first relay of a stream counts")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if s.drain <= 0 {
		return nil, fmt.Errorf("-drain %v: must be above 0", s.drain)
	}
	if (s.cert == "") != (s.key == "") {
		return nil, fmt.Errorf("-tls-cert and -tls-key go together")
	}
	s.protocol = or(getenv("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL"), or(getenv("OTEL_EXPORTER_OTLP_PROTOCOL"), httpProtocol))
	if s.protocol != grpcProtocol && s.protocol != httpProtocol {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL is %q: must be %s or %s", s.protocol, grpcProtocol, httpProtocol)
	}
	s.url = or(s.url, or(getenv("NATS_URL"), nats.DefaultURL))
	s.queue = []jetstream.Option{
		jetstream.WithStream(*stream), jetstream.WithSubject(*subject), jetstream.WithMaxBytes(*maxBytes),
		jetstream.WithMaxAge(*maxAge), jetstream.WithTakeover(*takeover),
	}
	flags.Visit(func(f *flag.Flag) { // what is not given need not be so in a stream that exists
		switch f.Name {
		case "partitions":
			s.queue = append(s.queue, jetstream.WithPartitions(*partitions))
		case "replicas":
			s.queue = append(s.queue, jetstream.WithReplicas(*replicas))
		}
	})
	if *existing {
		s.queue = append(s.queue, jetstream.WithExistingStream())
	}
	if *dropOldest {
		s.queue = append(s.queue, jetstream.WithOverflow(queue.DropOldest))
	}
	if *memory {
		s.queue = append(s.queue, jetstream.WithMemoryStorage())
	}
	return s, nil
}

// or returns the first of two that is not empty.
func or(value, otherwise string) string {
	if value != "" {
		return value
	}
	return otherwise
}
