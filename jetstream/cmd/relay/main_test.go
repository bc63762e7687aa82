package main

import (
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// asRelay in the environment makes the test program a relay.
const asRelay = "ASYNCMETRIC_TEST_AS_RELAY"

func TestMain(m *testing.M) {
	if os.Getenv(asRelay) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

func TestARelayWaitsForTheBroker(t *testing.T) {
	broker := startBroker(t, nil)
	url := broker.ClientURL()
	broker.Shutdown()
	broker.WaitForShutdown()
	log, stop := startRelay(t, "-nats", url, "-http", "127.0.0.1:0")
	address := "http://" + log.await(t, "status")["address"].(string)
	code, _ := get(t, address+"/healthz")
	assert.Equal(t, http.StatusServiceUnavailable, code)
	assert.Zero(t, stop())
	assert.NotNil(t, log.find("stopped before the broker was reached"))
}

func TestWrongArgumentsAreNamed(t *testing.T) {
	none := func(string) string { return "" }
	for _, args := range [][]string{{"now"}, {"-unknown"}, {"-drain", "0s"}, {"-tls-cert", "file"}} {
		log := new(journal)
		assert.Equal(t, 2, run(t.Context(), args, none, log), "%v", args)
		assert.NotNil(t, log.find("wrong arguments"))
	}
	log := new(journal)
	assert.Equal(t, 2, run(t.Context(), nil, func(string) string { return "carrier pigeon" }, log))
	assert.Zero(t, run(t.Context(), []string{"-h"}, none, log))
	assert.Equal(t, 1, run(t.Context(), []string{"-stream", "a.b", "-http", ""}, none, log), "what the library refuses")
}

func TestARelayIsHealthyOnceItHasTheStream(t *testing.T) {
	startBackend(t) // the relay ends what it delivers before it stops
	broker := startBroker(t, nil)
	log, stop := startRelay(t, "-nats", broker.ClientURL(), "-http", "127.0.0.1:0", "-existing")
	address := "http://" + log.await(t, "status")["address"].(string)
	log.await(t, "waiting for the stream")
	code, body := get(t, address+"/healthz")
	assert.Equal(t, http.StatusServiceUnavailable, code)
	assert.Equal(t, "waiting for the stream\n", body)
	handOver(t, broker.ClientURL(), 1)
	log.await(t, "delivering")
	code, body = get(t, address+"/healthz")
	assert.Equal(t, http.StatusOK, code)
	assert.Equal(t, "ok\n", body)
	assert.Zero(t, stop())
}

func TestHelpDoesNotShowThePassword(t *testing.T) {
	log := new(journal)
	run(t.Context(), []string{"-h"}, func(string) string { return "nats://user:secret@host" }, log)
	assert.Contains(t, log.text.String(), "NATS_URL")
	assert.NotContains(t, log.text.String(), "secret")
}

func TestOptionsOfAStreamThatIsMade(t *testing.T) {
	broker := startBroker(t, nil)
	log, stop := startRelay(t, "-nats", broker.ClientURL(), "-http", "", "-stream", "S", "-subject", "s", "-partitions", "2",
		"-max-bytes", "1000000", "-max-age", "1h", "-drop-oldest", "-memory", "-replicas", "1")
	log.await(t, "delivering")
	conn, err := nats.Connect(broker.ClientURL())
	require.NoError(t, err)
	defer conn.Close()
	js, err := natsjs.New(conn)
	require.NoError(t, err)
	s, err := js.Stream(t.Context(), "S")
	require.NoError(t, err)
	c := s.CachedInfo().Config
	assert.Equal(t, []string{"s.part.0", "s.part.1"}, c.Subjects)
	assert.Equal(t, int64(1000000), c.MaxBytes)
	assert.Equal(t, time.Hour, c.MaxAge)
	assert.Equal(t, natsjs.DiscardOld, c.Discard)
	assert.Equal(t, natsjs.MemoryStorage, c.Storage)
	assert.Zero(t, stop())
}
