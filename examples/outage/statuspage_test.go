package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestThePageIsThereWhileTheOutageLasts reads what the program writes line by
// line. It waits for that with each write, so it cannot end meanwhile.
func TestThePageIsThereWhileTheOutageLasts(t *testing.T) {
	for name, args := range map[string][]string{
		"short": {"-http", ":0", "-json", "-scale", "0.05"},
		"long":  {"-http", ":0", "-json", "-long", "-scale", "0.0625"},
	} {
		t.Run(name, func(t *testing.T) {
			stderr, writer := io.Pipe()
			code := make(chan int, 1)
			go func() { defer writer.Close(); code <- run(t.Context(), args, io.Discard, writer) }()
			lines := bufio.NewReader(stderr)
			line, err := lines.ReadString('\n')
			require.NoError(t, err)

			url, announced := strings.CutPrefix(strings.TrimSpace(line), "status page: ")
			require.True(t, announced, line)
			assert.Contains(t, fetch(t, url, http.StatusOK), "asyncmetric.Exporter/")
			assert.Contains(t, fetch(t, url+"?format=json", http.StatusOK), `"totals"`)
			fetch(t, url+"favicon.ico", http.StatusNotFound)

			rest, err := io.ReadAll(lines)
			require.NoError(t, err)
			require.Zero(t, <-code, string(rest))
			_, err = http.Get(url)
			assert.Error(t, err, "the page has gone with the program")
		})
	}
}

// fetch returns what is at url, and leaves no connection behind.
func fetch(t *testing.T, url string, status int) string {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get(url)
	require.NoError(t, err)
	defer func() { require.NoError(t, answer.Body.Close()) }()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	assert.Equal(t, status, answer.StatusCode)
	return string(body)
}

func TestAnAddressThatIsTakenIsAnError(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	var stderr strings.Builder
	assert.Equal(t, 2, run(t.Context(), []string{"-http", l.Addr().String()}, io.Discard, &stderr))
	assert.Contains(t, stderr.String(), "outage: -http: listen tcp "+l.Addr().String())
}

func TestAnInterruptClosesThePage(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p, err := openStatusPage("127.0.0.1:0")
	require.NoError(t, err)
	require.Error(t, demonstrate(ctx, config{protocol: "http", scale: 1}, p, io.Discard, io.Discard))
	require.NoError(t, p.close())
	_, err = net.Dial("tcp", p.listener.Addr().String())
	assert.Error(t, err)
}

func TestAPageThatWasNeverServedIsClosed(t *testing.T) {
	p, err := openStatusPage("127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, p.close())
	_, err = net.Dial("tcp", p.listener.Addr().String())
	assert.Error(t, err)
}

func TestWithoutAHostThePageIsForThisMachine(t *testing.T) {
	for address, want := range map[string]string{
		"": "", ":8080": "localhost:8080", "0.0.0.0:80": "0.0.0.0:80", "[::1]:80": "[::1]:80", "example.com:http": "example.com:http",
	} {
		got, err := loopback(address)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	p, err := openStatusPage("localhost:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, p.close()) }()
	assert.True(t, p.listener.Addr().(*net.TCPAddr).IP.IsLoopback())
}
