package sender

import (
	"net/textproto"
	"strconv"
)

// appendRequestHeader appends a request of HTTP/1.1 up to its body.
func appendRequestHeader(to *[]byte, req *request) error {
	if req.headerErr != nil {
		return req.headerErr
	}
	b := append(*to, req.start...)
	b = strconv.AppendInt(b, int64(len(req.Body)), 10)
	b = append(b, "\r\n"...)
	for _, line := range req.lines {
		b = append(b, line.text...)
		if line.value < 0 {
			continue
		}
		value := req.Values[line.value]
		if err := checkHeaderValue(req.names[line.value], value); err != nil {
			return err
		}
		b = append(b, textproto.TrimString(value)...)
		b = append(b, "\r\n"...)
	}
	*to = append(b, "\r\n"...)
	return nil
}
