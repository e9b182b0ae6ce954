package sender

import (
	"bytes"
	"log"
	"testing"
)

// Answers that HTTP allows, or that its clients have learned to take.
func TestUnusualAnswers(t *testing.T) {
	const okBody = "Content-Length: 2\r\n\r\nok"
	good := Response{StatusCode: 200, Body: "ok"}
	for _, tc := range []struct {
		name   string
		answer string
		want   Response
	}{
		{"no reason", "HTTP/1.1 200\r\n" + okBody, good},
		{"bare line feeds", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", good},
		{"a folded header", statusOK + "A: b\r\n c\r\n" + okBody, good},
		{"the same length twice", statusOK + "Content-Length: 2\r\n" + okBody, good},
		{"a length beside chunks", chunkedOK[:len(chunkedOK)-2] + "Content-Length: 1\r\n\r\n2\r\nok\r\n0\r\n\r\n", good},
		{"a chunk with an extension", chunkedOK + "2;a=b\r\nok\r\n0\r\n\r\n", good},
		{"a trailer", chunkedOK + "2\r\nok\r\n0\r\nA: b\r\n\r\n", good},
		{"an unknown informational answer", "HTTP/1.1 199 Soon\r\n\r\n" + statusOK + okBody, good},
		{"an unknown status of success", "HTTP/1.1 298 Well\r\n" + okBody, Response{StatusCode: 298, Body: "ok"}},
		{"a status beyond the known", "HTTP/1.1 600 Odd\r\n" + okBody, Response{StatusCode: 600, Body: "ok"}},
		{"205 with a body", "HTTP/1.1 205 Reset Content\r\n" + okBody, Response{StatusCode: 205, Body: "ok"}},
		{"HTTP/1.0 without a length", "HTTP/1.0 200 OK\r\n\r\nok", good},
		{"a cookie and a refresh", statusOK + "Set-Cookie: a=b\r\nRefresh: 0; url=/\r\n" + okBody, good},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			newSender(t).Send(t.Context(), message("http://"+serve(t, answering(tc.answer)))).want(t, tc.want)
		})
	}
}

// What follows an answer that can have no body belongs to nothing: it neither
// spoils the answer nor is waited for.
func TestBodyWhereNoneBelongs(t *testing.T) {
	// Endpoints must not be able to fill the log, as they can with net/http.
	var logged bytes.Buffer
	defer log.SetOutput(log.Writer())
	log.SetOutput(&logged)
	for _, tc := range []struct {
		name   string
		answer string
		want   Response
	}{
		{"204 with a length", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", Response{StatusCode: 204}},
		{"204 with a length and no body", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", Response{StatusCode: 204}},
		{"204 in chunks", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", Response{StatusCode: 204}},
		{"204 without a length", "HTTP/1.1 204 No Content\r\n\r\nhello", Response{StatusCode: 204}},
		{"304 with a length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello", Response{StatusCode: 304}},
		{"more than the length", statusOK + "Content-Length: 2\r\n\r\nokay", Response{StatusCode: 200, Body: "ok"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			newSender(t).Send(t.Context(), message("http://"+serve(t, holding(tc.answer)))).want(t, tc.want)
		})
	}
	if logged.Len() > 0 {
		t.Errorf("this was logged: %s", &logged)
	}
}
