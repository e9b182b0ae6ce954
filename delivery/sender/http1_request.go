package sender

import (
	"fmt"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// appendRequestHeader appends a request of HTTP/1.1 up to its body, byte for byte as
// net/http would write it.
func appendRequestHeader(to *[]byte, req *request) error {
	var err error
	b := append(*to, "POST "...)
	b = append(b, req.url.RequestURI()...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, withoutZone(req.url.Host)...)
	b = append(b, "\r\n"...)
	if b, err = appendHeader(b, "User-Agent", req.Header["User-Agent"]); err != nil {
		return err
	}
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, int64(len(req.Body)), 10)
	b = append(b, "\r\n"...)
	names := make([]string, 0, 16)
	for name := range req.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		switch name {
		case "Host", "User-Agent", "Content-Length", "Transfer-Encoding", "Trailer": // not the caller's
			continue
		}
		if b, err = appendHeader(b, name, req.Header[name]); err != nil {
			return err
		}
	}
	*to = append(b, "\r\n"...)
	return nil
}

func appendHeader(b []byte, name string, values []string) ([]byte, error) {
	if !httpguts.ValidHeaderFieldName(name) {
		return b, fmt.Errorf("%q is no name of a header", name)
	}
	for _, value := range values {
		if !httpguts.ValidHeaderFieldValue(value) {
			return b, fmt.Errorf("the header %s has a value that is not allowed", name)
		}
		b = append(b, name...)
		b = append(b, ": "...)
		b = append(b, textproto.TrimString(value)...)
		b = append(b, "\r\n"...)
	}
	return b, nil
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
