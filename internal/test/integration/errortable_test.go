package integration

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/queue"
)

var (
	update = flag.Bool("update", false, "write the table of errors into its file instead of comparing it")
	page   = flag.String("page", "../../../docs/errors.md", "the file with the table of errors")
)

// Between these lines of the file is the table.
const (
	tableBegins = "<!-- errors:begin -->"
	tableEnds   = "<!-- errors:end -->"
)

// Every cell of the table is what was seen to become of a batch that was sent
// through a real exporter to a real server.
func TestErrorTable(t *testing.T) {
	table := grpcTable(t) + "\n" + httpTable(t) + "\n" + troubleTable(t) + "\n" + stdoutTable(t)
	file, err := os.ReadFile(*page)
	require.NoError(t, err)
	before, rest, begins := strings.Cut(string(file), tableBegins+"\n")
	old, after, ends := strings.Cut(rest, tableEnds)
	require.True(t, begins && ends, "%s has no place for the table. Put these two lines where it is to be, and run\n"+
		"GOWORK=off go -C internal/test test ./integration -run TestErrorTable -update\n\n%s\n%s", *page, tableBegins, tableEnds)
	if *update {
		require.NoError(t, os.WriteFile(*page, []byte(before+tableBegins+"\n"+table+tableEnds+after), 0o644))
		return
	}
	assert.Equal(t, table, old, "the table in %s is not what happens. To write it anew, run\n"+
		"GOWORK=off go -C internal/test test ./integration -run TestErrorTable -update", *page)
}

func grpcTable(t *testing.T) string {
	table := row("gRPC code", "alone", "with `RetryInfo`") + row("---", "---", "---")
	table += row("OK", cell(t, openGRPC(t, nil)), "")
	for _, tt := range grpcCodes {
		table += row(tt.code.String(),
			cell(t, openGRPC(t, grpcStatus(tt.code))),
			cell(t, openGRPC(t, grpcStatus(tt.code, retryInfo))))
	}
	return table
}

func httpTable(t *testing.T) string {
	table := row("HTTP status", "alone", "with `Retry-After`, in seconds", "as a date") + row("---", "---", "---", "---")
	table += row("200", cell(t, openHTTP(t, nil)), "", "")
	for _, tt := range httpStatuses {
		table += row(fmt.Sprint(tt.status),
			cell(t, openHTTP(t, httpStatus(tt.status))),
			cell(t, openHTTP(t, retryAfter(tt.status, inSeconds))),
			cell(t, openHTTP(t, retryAfter(tt.status, asDate()))))
	}
	return table
}

func troubleTable(t *testing.T) string {
	table := row("trouble", "over gRPC", "over HTTP") + row("---", "---", "---")
	for _, tt := range troubles {
		var cells [2]string
		if tt.grpc != nil {
			cells[0] = cell(t, tt.grpc(t))
		}
		if tt.http != nil {
			cells[1] = cell(t, tt.http(t))
		}
		table += row(tt.name, cells[:]...)
	}
	return table
}

func stdoutTable(t *testing.T) string {
	table := row("trouble", "of `stdoutmetric`") + row("---", "---")
	table += row("none", cell(t, openStdout(nil)(t)))
	for _, tt := range stdoutTroubles {
		table += row(tt.name, cellWithin(t, openStdout(tt.file)(t), vain))
	}
	return table
}

func row(name string, cells ...string) string {
	return "| " + name + " | " + strings.Join(cells, " | ") + " |\n"
}

// cell delivers a batch and says what became of it.
func cell(t *testing.T, server endpoint) string {
	t.Helper()
	return cellWithin(t, server, 0)
}

// cellWithin has asyncmetric try again only for so long.
func cellWithin(t *testing.T, server endpoint, limit time.Duration) string {
	t.Helper()
	o := server.deliver(t, settings{limit: limit})
	sum := 0
	for _, points := range o.delivered {
		sum += points
	}
	require.LessOrEqual(t, sum, points, "no batch arrives twice")
	switch {
	case len(o.drops) == 0 && len(o.delivered) > 1:
		return "halved until it fits"
	case len(o.drops) == 0 && o.stats.Retries > 0:
		return "sent again" + o.delay()
	case len(o.drops) == 0 && len(o.errs) > 0:
		return "delivered, and reported"
	case len(o.drops) == 0:
		return "delivered"
	case o.drops[0].Points < points:
		return "delivered but for the rejected points"
	case o.drops[0].Reason == queue.ReasonElapsed:
		return "sent again in vain"
	default:
		require.Zero(t, o.stats.Retries)
		return fmt.Sprintf("dropped (`%s`)", o.drops[0].Reason)
	}
}

// delay says whether the server asked for one.
func (o *outcome) delay() string {
	if asyncmetric.DefaultClassify(o.errs[0]).After > 0 {
		return " after the delay"
	}
	return ""
}

func TestErrorTableHasEveryCodeOfGRPC(t *testing.T) {
	for i, tt := range grpcCodes {
		assert.Equal(t, codes.Code(i+1), tt.code)
	}
	assert.Len(t, grpcCodes, int(codes.Unauthenticated))
}
