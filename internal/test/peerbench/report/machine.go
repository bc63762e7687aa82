package report

import (
	"bufio"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Machine is where and with what was measured.
type Machine struct {
	CPU, Platform, Go string
	Cores             int
	Date              string
	// Load is the number of threads that wanted a processor before the
	// measurements, on average over a minute.
	Load    string
	Modules []string
}

// modules are those whose versions matter to a reader.
var modules = []string{
	"go.opentelemetry.io/otel/sdk/metric",
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp",
	"go.opentelemetry.io/collector/exporter/exporterhelper",
	"go.opentelemetry.io/collector/pdata",
	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage",
	"go.etcd.io/bbolt",
	"github.com/prometheus/prometheus",
}

// ThisMachine describes the one that the process runs on.
func ThisMachine() Machine {
	return Machine{
		CPU:      cpu(),
		Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Go:       strings.TrimPrefix(runtime.Version(), "go"),
		Cores:    runtime.NumCPU(),
		Date:     time.Now().UTC().Format(time.DateOnly),
		Load:     load(),
		Modules:  versions(),
	}
}

// Busy says whether more than half of the processors had work before the
// measurements, which then would be of that work too. Where the load is not known
// it says no.
func (m Machine) Busy() bool {
	load, err := strconv.ParseFloat(m.Load, 64)
	return err == nil && load > float64(m.Cores)/2
}

// cpu returns the name of the processor, as far as Linux says it.
func cpu() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":")
		if strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}

// load returns the load average of the last minute, as far as Linux says it.
func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	minute, _, _ := strings.Cut(string(b), " ")
	return minute
}

func versions() []string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil
	}
	var found []string
	for _, m := range info.Deps {
		if slices.Contains(modules, m.Path) {
			found = append(found, m.Path+" "+m.Version)
		}
	}
	return found
}
