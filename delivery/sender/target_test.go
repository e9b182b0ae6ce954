package sender

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestHeadersOfATarget sends headers that are always the same between others, over each protocol.
func TestHeadersOfATarget(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	var got http.Header
	handler := func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		w.Header().Set("X-Protocol", r.Proto)
	}
	over := serveTLS(t, ca.issue(), handler)
	plain := serve(t, answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
	s := newSender(t, trusting(ca))
	common := http.Header{"User-Agent": {"agent"}, "Content-Type": {"application/json"}, "A-First": {"1"}, "x-lower": {"ü"}, "X-Empty": {""}}
	for _, url := range []string{over.URL, "http://" + plain} {
		m := Message{Target: NewTarget(url, common, "X-Value", "B-Value"), Values: []string{"v", "b"}, Body: []byte("{}"), Timeout: message("").Timeout}
		if r := s.Send(t.Context(), m); r.StatusCode != 200 {
			t.Fatalf("got %+v", r)
		}
	}
	for name, want := range map[string]string{
		"User-Agent": "agent", "Content-Type": "application/json", "A-First": "1", "X-Lower": "ü", "X-Empty": "", "X-Value": "v", "B-Value": "b",
	} {
		if values := got[name]; !slices.Equal(values, []string{want}) {
			t.Errorf("%s is %q", name, values)
		}
	}
	req := &request{Message: Message{Target: NewTarget("http://a.example/p", common, "X-Value", "B-Value"), Values: []string{"v", "b"}, Body: []byte("{}")}}
	var b []byte
	if err := appendRequestHeader(&b, req); err != nil {
		t.Fatal(err)
	}
	want := strings.ReplaceAll("POST /p HTTP/1.1\nHost: a.example\nUser-Agent: agent\nContent-Length: 2\nA-First: 1\nB-Value: b\n"+
		"Content-Type: application/json\nX-Empty: \nX-Value: v\nx-lower: ü\n\n", "\n", "\r\n")
	if string(b) != want {
		t.Errorf("got %q, want %q", b, want)
	}
}
