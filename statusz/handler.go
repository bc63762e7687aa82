package statusz

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/asyncmetric/asyncmetric"
)

// Handler returns a handler that shows these exporters, in this order. It
// answers GET and HEAD on any path, with the page or, to ?format=json, with
// JSON. Without exporters, the page says that there are none.
//
// A nil exporter is a mistake in the program, about which Handler panics.
func Handler(exporters ...*asyncmetric.Exporter) http.Handler {
	h := make(handler, 0, len(exporters))
	for i, e := range exporters {
		if e == nil {
			panic(fmt.Sprintf("statusz: exporter %d of Handler is nil", i+1))
		}
		h = append(h, &watch{source: e})
	}
	return h
}

// handler has a watch for each exporter. Requests share nothing else.
type handler []*watch

// ServeHTTP implements http.Handler.
func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	protect(w.Header())
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "want GET or HEAD", http.StatusMethodNotAllowed)
		return
	}
	ask, err := parseRequest(r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	body, err := ask.render(h.report())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", ask.contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(body) // fails when the client has gone, which concerns nobody else
	}
}

// report looks at all exporters.
func (h handler) report() report {
	rep := report{Time: time.Now().UTC(), Exporters: []exporter{}}
	for _, w := range h {
		rep.Exporters = append(rep.Exporters, w.look())
	}
	return rep
}

// protect sets the headers that every answer has.
func protect(header http.Header) {
	header.Set("Content-Security-Policy", contentSecurityPolicy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", "no-store")
}
