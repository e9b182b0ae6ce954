package api

import (
	"bytes"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
)

// response is what an operation gives back.
type response struct {
	status   int
	location string
	body     any          // to be encoded as JSON, unless it is rawJSON; nil for none
	other    http.Handler // writes what is no JSON, in place of all of the above
}

// rawJSON is a body that is JSON already.
type rawJSON []byte

// list is the body that is a list.
type list[T any] struct {
	Data []T `json:"data"`
}

func (res *response) write(w http.ResponseWriter, r *http.Request) error {
	if res.other != nil {
		res.other.ServeHTTP(w, r)
		return nil
	}
	if res.location != "" {
		w.Header().Set("Location", res.location)
	}
	if res.body == nil {
		w.WriteHeader(res.status)
		return nil
	}
	return writeJSON(w, res.status, "application/json", res.body)
}

func writeJSON(w http.ResponseWriter, status int, contentType string, body any) error {
	encoded, ok := body.(rawJSON)
	if !ok {
		var err error
		if encoded, err = json.Marshal(body, json.Deterministic(true)); err != nil {
			return err
		}
	}
	encoded = append(encoded, '\n') // whoever calls from a terminal gets the prompt on a line of its own
	setHeaders(w.Header(), "Content-Type", contentType, "Content-Length", strconv.Itoa(len(encoded)))
	w.WriteHeader(status)
	_, _ = bytes.NewReader(encoded).WriteTo(w) // whoever does not read it is gone
	return nil
}

// setHeaders sets headers, given as pairs of a name in its canonical form and a value. It
// takes memory for all of them at once.
func setHeaders(h http.Header, pairs ...string) {
	values := make([]string, len(pairs)/2)
	for i := range values {
		values[i] = pairs[2*i+1]
		h[pairs[2*i]] = values[i : i+1 : i+1]
	}
}
