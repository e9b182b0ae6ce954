package api

import (
	"net/http"
	"net/url"
	"slices"
	"unicode/utf8"
)

// badParameter is a query parameter that is unknown or malformed.
func badParameter(name, detail string) *problem {
	return &problem{
		Status: http.StatusBadRequest,
		Detail: "A query parameter is not valid; see errors.",
		Errors: []fieldError{{Field: shorten(name), Detail: detail}},
	}
}

// parseQuery takes each known parameter once and nothing else.
func parseQuery(raw string, known []string) (url.Values, error) {
	if raw == "" {
		return nil, nil
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, &problem{Status: http.StatusBadRequest, Detail: "The query is malformed: check its percent-encoding, and separate parameters with &."}
	}
	for name, given := range values {
		switch {
		case !slices.Contains(known, name):
			return nil, badParameter(name, "This path has no such parameter.")
		case len(given) > 1:
			return nil, badParameter(name, "This may be given only once.")
		case given[0] == "":
			return nil, badParameter(name, "This must not be empty.")
		case !utf8.ValidString(given[0]):
			return nil, badParameter(name, "This must be UTF-8.")
		}
	}
	return values, nil
}

// shorten keeps a name that a caller made up from filling the response; what is not
// UTF-8 in it could not be encoded at all.
func shorten(name string) string {
	const most = 100
	runes := []rune(name) // invalid bytes become U+FFFD
	if len(runes) > most {
		runes = append(runes[:most:most], '…')
	}
	return string(runes)
}
