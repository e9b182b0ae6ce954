package sender

import (
	"net"
	"sync/atomic"
	"testing"
	"unicode/utf8"
)

// FuzzResponse has an endpoint say anything, and close the connection. There is
// always an end of it, and a response of bounded size.
func FuzzResponse(f *testing.F) {
	for _, seed := range []string{
		answerOK, answerClose, "HTTP/1.1 204 No Content\r\n\r\nbeyond", "HTTP/1.0 200 OK\r\n\r\nto the end",
		chunkedOK + "2;a=b\r\nok\r\n0\r\nA: b\r\n\r\n", chunkedOK + "fffffffffffffffff\r\n",
		"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: a\r\n\r\n", "HTTP/1.1 -99 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\n", "\x15\x03\x01\x00\x02\x02\x0a", "\xff\xfe", "",
	} {
		f.Add([]byte(seed))
	}
	var answer atomic.Pointer[[]byte]
	address := serve(f, func(conn net.Conn) {
		readRequest(conn)
		_, _ = conn.Write(*answer.Load())
	})
	c := localConfig()
	f.Fuzz(func(t *testing.T, b []byte) {
		answer.Store(&b)
		s := New(&c) // a connection that is kept would be closed at any time
		defer s.Close()
		m := message("http://" + address)
		r := s.Send(t.Context(), m)
		if r.TimedOut || len(r.Body) > m.MaxResponse || !utf8.ValidString(r.Body) {
			t.Errorf("got %+v", r)
		}
		if r.Failure != "" {
			checkSentence(t, r)
		}
		if r.StatusCode != 0 && (r.StatusCode < 100 || r.StatusCode > 999) || r.StatusCode == 0 && r.Failure == "" {
			t.Errorf("the status is %d, the failure %q", r.StatusCode, r.Failure)
		}
	})
}
