package statusz_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/statusz"
)

func ExampleHandler() {
	ctx := context.Background()
	exporter, err := asyncmetric.New(&metrictest.Exporter{}) // around the exporter that you have
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/debug/asyncmetric", statusz.Handler(exporter))
	server := httptest.NewServer(mux) // in an application: http.ListenAndServe("localhost:8080", mux)
	defer server.Close()

	_ = exporter.Export(ctx, metrictest.Numbers(3, 1))
	_ = exporter.Shutdown(ctx)

	answer, err := http.Get(server.URL + "/debug/asyncmetric?format=json")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer func() { _ = answer.Body.Close() }()
	var status struct {
		Exporters []struct {
			State  string
			Totals struct{ Accepted, Exported int }
		}
	}
	if err := json.NewDecoder(answer.Body).Decode(&status); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	fmt.Println(status.Exporters[0].Totals)
	// Output: {3 3}
}
