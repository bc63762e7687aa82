package jetstream

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/asyncmetric/asyncmetric/queue"
)

// An Option configures a [Queue] or an [Exporter]. Values are checked in [Open]
// and [NewExporter].
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

// config is what the options say.
type config struct {
	stream      string
	subject     string
	replicas    int // 0: those of the stream, or the default
	storage     natsjs.StorageType
	maxBytes    int64
	maxAge      time.Duration
	overflow    *queue.Overflow // nil: that of the stream, or the default
	partitions  int             // 0: those of the stream, or the default
	existing    bool
	publishOnly bool
	takeover    time.Duration
	temporality metric.TemporalitySelector
	aggregation metric.AggregationSelector
	inHand      int           // bytes of messages that a relay has in memory, all partitions together
	longestPull time.Duration // a request for messages; a reader that stops waits for its end
}

const (
	defaultPartitions = 4
	maxPartitions     = 256
	minTakeover       = 2 * time.Second
)

// lease is how long after it was asked for something, or its extension, a relay
// may count on the server giving it to no other relay. The server waits for
// takeover; the rest is for a leader that dies and takes with it what it has
// confirmed last.
func (c *config) lease() time.Duration { return c.takeover * 3 / 4 }

func defaultConfig() config {
	return config{
		stream:      "ASYNCMETRIC",
		subject:     "asyncmetric",
		storage:     natsjs.FileStorage,
		maxBytes:    1 << 30,
		takeover:    5 * time.Second,
		temporality: metric.DefaultTemporalitySelector,
		aggregation: metric.DefaultAggregationSelector,
		inHand:      64 << 20,
		longestPull: 500 * time.Millisecond,
	}
}

// WithStream sets the name of the stream; the default is ASYNCMETRIC. The one
// for dead letters has the same name followed by _DEAD.
func WithStream(name string) Option {
	return optionFunc(func(c *config) { c.stream = name })
}

// WithSubject sets what the subjects begin with: those of the partitions,
// subject.part.0 and so on, of dead letters, subject.dead, and the one on which
// relays hear of each other, subject.relays. The default is asyncmetric.
func WithSubject(subject string) Option {
	return optionFunc(func(c *config) { c.subject = subject })
}

// WithReplicas sets how many servers keep a stream that is made, 1 to 5; 1 if it
// is not given. A stream that has to survive a server needs 3. One that exists
// must have at least as many.
func WithReplicas(n int) Option {
	return optionFunc(func(c *config) {
		c.replicas = n
		if n == 0 {
			c.replicas = -1 // not the same as not given
		}
	})
}

// WithMemoryStorage makes the servers keep a stream that is made in memory rather
// than in files.
func WithMemoryStorage() Option {
	return optionFunc(func(c *config) { c.storage = natsjs.MemoryStorage })
}

// WithMaxBytes sets how many bytes a stream that is made may have, messages in
// flight included, at least 1. The default is 1 GiB.
func WithMaxBytes(n int64) Option {
	return optionFunc(func(c *config) { c.maxBytes = n })
}

// WithMaxAge sets how long a message stays in a stream that is made; the server
// then discards it. The default, 0, means no limit; the least is 100 ms.
func WithMaxAge(d time.Duration) Option {
	return optionFunc(func(c *config) { c.maxAge = d })
}

// WithOverflow sets what happens to a collection for which there is no room in a
// stream that is made: [queue.DropNewest], which it is if it is not given, or
// [queue.DropOldest]. One that exists must do the same.
func WithOverflow(o queue.Overflow) Option {
	return optionFunc(func(c *config) { c.overflow = &o })
}

// WithPartitions sets how many partitions a stream that is made gets, 1 to 256;
// 4 if it is not given. One that exists must have as many.
func WithPartitions(n int) Option {
	return optionFunc(func(c *config) {
		c.partitions = n
		if n == 0 {
			c.partitions = -1 // not the same as not given
		}
	})
}

// WithExistingStream keeps from making, or making again, a stream: it must
// exist. For users who have no permission to. Make it with [Open] or, with any
// tool, as a work queue with the subjects asyncmetric.part.0 and so on, and their
// number in the metadata as asyncmetric.partitions.
func WithExistingStream() Option {
	return optionFunc(func(c *config) { c.existing = true })
}

// PublishOnly makes a queue that only hands over: Take finds nothing, nothing
// is delivered from this process. What the stream has acknowledged counts as
// exported, and ForceFlush waits for no more. Put waits for the network; for an
// application that must not, see the package documentation.
func PublishOnly() Option {
	return optionFunc(func(c *config) { c.publishOnly = true })
}

// WithTakeover sets after what time a relay that is not heard of is taken for
// dead, at least 2 s. The default is 5 s. It is the time that the server waits
// for an acknowledgement, and for a sign of life of whom a partition is pinned
// to. It is a property of the consumers: the first relay of a stream decides, the
// others do as it did. To change it, delete the consumers while no relay runs.
func WithTakeover(d time.Duration) Option {
	return optionFunc(func(c *config) { c.takeover = d })
}

// WithTemporalitySelector sets the temporality that an [Exporter] asks for.
// The default is that of the SDK, cumulative for all.
func WithTemporalitySelector(s metric.TemporalitySelector) Option {
	return optionFunc(func(c *config) { c.temporality = s })
}

// WithAggregationSelector sets the aggregation that an [Exporter] asks for. The
// default is that of the SDK.
func WithAggregationSelector(s metric.AggregationSelector) Option {
	return optionFunc(func(c *config) { c.aggregation = s })
}

var (
	streamName  = regexp.MustCompile(`^[A-Za-z0-9_-]{1,200}$`)
	subjectName = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)
)

// newConfig applies opts to the defaults and checks the result.
func newConfig(opts []Option) (config, error) {
	c := defaultConfig()
	for i, o := range opts {
		if o == nil {
			return c, invalid("option %d is nil", i+1)
		}
		o.apply(&c)
	}
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, invalid(format, args...))
		}
	}
	check(streamName.MatchString(c.stream), "WithStream(%q): must be letters, digits, - and _, at most 200", c.stream)
	check(subjectName.MatchString(c.subject), "WithSubject(%q): must be words of letters, digits, - and _ with dots in between", c.subject)
	check(c.replicas >= 0 && c.replicas <= 5, "WithReplicas(%d): must be 1 to 5", max(c.replicas, 0))
	check(c.maxBytes >= 1, "WithMaxBytes(%d): must be at least 1", c.maxBytes)
	check(c.maxAge == 0 || c.maxAge >= 100*time.Millisecond, "WithMaxAge(%v): must be at least 100ms, or 0 for no limit", c.maxAge)
	if o := c.overflow; o != nil {
		check(*o == queue.DropNewest || *o == queue.DropOldest, "WithOverflow(%v): must be queue.DropNewest or queue.DropOldest", *o)
	}
	check(c.partitions >= 0 && c.partitions <= maxPartitions, "WithPartitions(%d): must be 1 to %d", max(c.partitions, 0), maxPartitions)
	check(c.takeover >= minTakeover, "WithTakeover(%v): must be at least %v", c.takeover, minTakeover)
	check(c.temporality != nil, "WithTemporalitySelector(nil): must be a selector")
	check(c.aggregation != nil, "WithAggregationSelector(nil): must be a selector")
	return c, errors.Join(errs...)
}

// invalid returns an error that wraps ErrInvalidOption.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalidOption, fmt.Sprintf(format, args...))
}
