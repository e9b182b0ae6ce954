package sender

import (
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// Target is where requests of one kind go, and what is the same in all of them. It is
// made once, never changes, and is safe for concurrent use.
type Target struct {
	URL    string
	url    *url.URL // as it goes over the wire, nil if it is not valid
	urlErr error

	identity *Identity // nil if requests have none

	common http.Header
	names  []string // of the headers whose values come with each message

	// The head of a request of HTTP/1.1: start is up to the value of Content-Length, and
	// lines are all headers after it.
	start     []byte
	lines     []headerLine
	headerErr error // why no request can be sent
}

// headerLine is a line of a request's head, or several whose values are always the same. If value
// is not negative, text ends before that one of the message's values.
type headerLine struct {
	text  []byte
	value int
}

// NewTarget makes a Target of a URL, the headers that are the same in all requests, and
// the names of those that are not. Names are sent as they are spelled. What is wrong with
// any of it is said by each request.
func NewTarget(rawURL string, common http.Header, names ...string) *Target {
	t := &Target{URL: rawURL, common: common, names: names}
	if t.url, t.urlErr = parseURL(rawURL); t.urlErr == nil {
		t.start, t.lines, t.headerErr = t.head()
	}
	return t
}

// head makes the head of a request of HTTP/1.1, byte for byte as net/http would write it.
func (t *Target) head() (start []byte, lines []headerLine, err error) {
	start = append(start, "POST "...)
	start = append(start, t.url.RequestURI()...)
	start = append(start, " HTTP/1.1\r\nHost: "...)
	start = append(start, withoutZone(t.url.Host)...)
	start = append(start, "\r\n"...)
	if start, err = appendHeader(start, "User-Agent", t.common["User-Agent"]); err != nil {
		return nil, nil, err
	}
	start = append(start, "Content-Length: "...)

	byName := make(map[string]headerLine)
	for name, values := range t.common {
		text, err := appendHeader(nil, name, values)
		if err != nil {
			return nil, nil, err
		}
		byName[name] = headerLine{text: text, value: -1}
	}
	for i, name := range t.names {
		if err := checkHeaderName(name); err != nil {
			return nil, nil, err
		}
		byName[name] = headerLine{text: []byte(name + ": "), value: i}
	}
	for _, name := range []string{"Host", "User-Agent", "Content-Length", "Transfer-Encoding", "Trailer"} {
		delete(byName, name) // not the caller's
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		line := byName[name]
		if last := len(lines) - 1; line.value < 0 && last >= 0 && lines[last].value < 0 {
			lines[last].text = append(lines[last].text, line.text...)
			continue
		}
		lines = append(lines, line)
	}
	return start, lines, nil
}

// header is all headers of a message.
func (m *Message) header() http.Header {
	all := make(http.Header, len(m.common)+len(m.names))
	maps.Copy(all, m.common)
	for i, name := range m.names {
		all[name] = m.Values[i : i+1 : i+1]
	}
	return all
}

func appendHeader(b []byte, name string, values []string) ([]byte, error) {
	if err := checkHeaderName(name); err != nil {
		return b, err
	}
	for _, value := range values {
		if err := checkHeaderValue(name, value); err != nil {
			return b, err
		}
		b = append(b, name...)
		b = append(b, ": "...)
		b = append(b, textproto.TrimString(value)...)
		b = append(b, "\r\n"...)
	}
	return b, nil
}

func checkHeaderName(name string) error {
	if !httpguts.ValidHeaderFieldName(name) {
		return fmt.Errorf("%q is no name of a header", name)
	}
	return nil
}

func checkHeaderValue(name, value string) error {
	if !httpguts.ValidHeaderFieldValue(value) {
		return fmt.Errorf("the header %s has a value that is not allowed", name)
	}
	return nil
}

// withoutZone takes the zone off an IPv6 address, which means nothing to the
// endpoint (RFC 6874).
func withoutZone(host string) string {
	end := strings.LastIndexByte(host, ']')
	if end < 0 || host[0] != '[' {
		return host
	}
	if zone := strings.LastIndexByte(host[:end], '%'); zone >= 0 {
		return host[:zone] + host[end:]
	}
	return host
}
