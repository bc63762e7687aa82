package main

import (
	"net/http"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
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
