package sender

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
)

func TestResponseText(t *testing.T) {
	for _, tc := range []struct {
		name      string
		body      string
		limit     int
		want      string
		truncated bool
	}{
		{"shorter", "abc", 4, "abc", false},
		{"as long", "abcd", 4, "abcd", false},
		{"longer", "abcde", 4, "abcd", true},
		{"nothing", "", 4, "", false},
		{"nothing is kept", "abc", 0, "", true},
		{"nothing came, nothing is kept", "", 0, "", false},
		{"a character ends at the limit", "aéé", 3, "aé", true},
		{"a character of 2 bytes is cut", "aéé", 4, "aé", true},
		{"a character of 3 bytes is cut", "a€€", 6, "a€", true},
		{"a character of 4 bytes is cut", "😀😀", 7, "😀", true},
		{"a character of 4 bytes does not fit", "😀", 3, "", true},
		{"not UTF-8", "a\xffb", 9, "a\uFFFDb", false},
		{"not UTF-8 at the end", "ab\xe9", 9, "ab\uFFFD", false},
		{"not UTF-8, in a row", "a\xff\xfe\xfdb", 9, "a\uFFFDb", false},
		{"half a character at the end", "a\xe2\x82", 9, "a\uFFFD", false},
		{"not UTF-8, longer as text than it may be", "\xff.\xff.", 4, "\uFFFD.", true},
		{"not UTF-8, as long as it may be", "\xffa", 4, "\uFFFDa", false},
		{"not UTF-8 where the cut falls", "abc\xffdef", 4, "abc", true},
		{"not UTF-8 before the cut", "a\xffcdefgh", 6, "a\uFFFDcd", true},
		{"what looks like a cut character but is none", "abc\xe9def", 4, "abc", true},
		{"stray continuations where the cut falls", "a\x80\x80\x80\x80\x80b", 4, "a\uFFFD", true},
		{"NUL", "a\x00b", 4, "a\x00b", false},
		{"surrogates", "\xed\xa0\x80", 9, "\uFFFD", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for _, form := range []struct{ name, header, body string }{
				{"length", fmt.Sprintf("Content-Length: %d\r\n", len(tc.body)), tc.body},
				{"chunks", "Transfer-Encoding: chunked\r\n", inChunks(tc.body)},
				{"until the end", "", tc.body},
			} {
				m := message("http://" + serve(t, answering("HTTP/1.1 200 OK\r\n"+form.header+"\r\n"+form.body)))
				m.MaxResponse = tc.limit
				t.Run(form.name, func(t *testing.T) {
					newSender(t).Send(t.Context(), m).want(t, Response{StatusCode: 200, Body: tc.want, Truncated: tc.truncated})
				})
			}
		})
	}
}

// inChunks encodes a body, each byte in a chunk of its own.
func inChunks(body string) string {
	var b strings.Builder
	for i := range len(body) {
		b.WriteString("1\r\n" + body[i:i+1] + "\r\n")
	}
	return b.String() + "0\r\n\r\n"
}

func TestCompressedResponseIsKeptAsItCame(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write(bytes.Repeat([]byte("a"), 1<<20))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed.Bytes())
	}))
	defer server.Close()
	m := message(server.URL)
	m.MaxResponse = 10 << 10
	newSender(t).Send(t.Context(), m).want(t, Response{
		StatusCode: 200, Body: strings.ToValidUTF8(packed.String(), "\uFFFD"),
	})
}

// A response may be longer than what is kept, but not without end.
func TestLongResponses(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	chunk := bytes.Repeat([]byte("a"), 64<<10)
	handler := func(w http.ResponseWriter, r *http.Request) {
		length, err := strconv.Atoi(r.URL.Query().Get("length"))
		if endless := err != nil; endless {
			for err = nil; err == nil; {
				_, err = w.Write(chunk)
			}
			return
		}
		_, _ = w.Write(bytes.Repeat([]byte("a"), length))
	}
	plain := httptest.NewServer(http.HandlerFunc(handler))
	defer plain.Close()
	secure := serveTLS(t, ca.issue(), handler)
	old := "http://" + serve(t, repeating("HTTP/1.0 200 OK\r\n\r\n", string(chunk)))
	for _, proxied := range []bool{false, true} {
		s := newSender(t, trusting(ca), func(c *Config) {
			if proxied {
				c.Destinations.Proxy = newConnectProxy(t, http.StatusOK, nil).url
			}
		})
		for _, tc := range []struct {
			name, url string
			keep      int
			limit     int // beyond which it fails, 0 if it does not
		}{
			{"HTTP/1.0, endless", old, 1 << 10, 1 << 20},
			{"HTTP/1.1, endless", plain.URL, 1 << 10, 1 << 20},
			{"HTTP/1.1, as long as it may be", plain.URL + "?length=1048576", 1 << 10, 0},
			{"HTTP/1.1, too long", plain.URL + "?length=1048577", 1 << 10, 1 << 20},
			{"HTTP/1.1, nothing is kept", plain.URL + "?length=1048577", 0, 1 << 20},
			{"HTTP/1.1, all is kept", plain.URL + "?length=3145728", 3 << 20, 0},
			{"HTTP/1.1, more than is kept", plain.URL + "?length=3145729", 3 << 20, 3 << 20},
			{"HTTP/2, endless", secure.URL, 1 << 10, 1 << 20},
			{"HTTP/2, as long as it may be", secure.URL + "?length=1048576", 1 << 10, 0},
			{"HTTP/2, too long", secure.URL + "?length=1048577", 1 << 10, 1 << 20},
		} {
			t.Run(fmt.Sprint(tc.name, ", proxied: ", proxied), func(t *testing.T) {
				m := message(tc.url)
				m.MaxResponse = tc.keep
				want := Response{StatusCode: 200, Body: strings.Repeat("a", tc.keep), Truncated: true}
				if tc.limit == 0 {
					want.Truncated = tc.keep < 1<<20
				} else {
					want.Failure = fmt.Sprintf("the response is longer than %d KiB: an endpoint should answer with little or nothing", tc.limit>>10)
				}
				r := s.Send(t.Context(), m)
				if r.Body == want.Body {
					r.Body, want.Body = "", ""
				}
				r.want(t, want)
			})
		}
	}
}
