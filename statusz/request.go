package statusz

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
)

// request is what the query of a URL asks for.
type request struct {
	contentType string
	render      func(report) ([]byte, error)
}

// parseRequest returns an error that says what is allowed. Parameters that it
// does not know are ignored, so that anyone may add some to avoid a cache.
func parseRequest(query url.Values) (request, error) {
	refresh := query.Get("refresh")
	if refresh != "" && refresh != "off" {
		return request{}, fmt.Errorf("refresh=%.40q: want off, or leave it out", refresh)
	}
	switch format := query.Get("format"); format {
	case "", "html":
		return request{"text/html; charset=utf-8", page{paused: refresh == "off"}.render}, nil
	case "json":
		return request{"application/json", renderJSON}, nil
	default:
		return request{}, fmt.Errorf("format=%.40q: want html or json", format)
	}
}

func renderJSON(rep report) ([]byte, error) {
	var body bytes.Buffer
	err := json.NewEncoder(&body).Encode(rep)
	return body.Bytes(), err
}
