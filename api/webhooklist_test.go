package api_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/embedded"
)

type webhookList struct {
	Data       []webhook `json:"data"`
	NextCursor *string   `json:"next_cursor"`
}

// TestWebhookPages reads the webhooks of a tenant page by page, also when the last one of a
// page is deleted meanwhile.
func TestWebhookPages(t *testing.T) {
	s := start(t, newConfig())
	var want []string
	for i := range 7 {
		var created webhook
		s.admin("POST", "api/webhooks", fmt.Sprintf(`{"url":"https://example.com/%d"}`, i)).want(t, 201, &created)
		want = append(want, created.ID)
	}
	for _, limit := range []int{1, 3, 7, 200} {
		var got []string
		query := fmt.Sprint("?limit=", limit)
		for {
			var page webhookList
			s.admin("GET", "api/webhooks"+query, "").want(t, 200, &page)
			for i := range page.Data {
				got = append(got, page.Data[i].ID)
			}
			if page.NextCursor == nil {
				break
			}
			if len(page.Data) != limit {
				t.Errorf("a page of %d has %d", limit, len(page.Data))
			}
			query = fmt.Sprint("?limit=", limit, "&cursor=", *page.NextCursor)
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("by %d: got\n%v, want\n%v", limit, got, want)
		}
	}
	if body := string(s.admin("GET", "api/webhooks", "").body); strings.Contains(body, "next_cursor") || !strings.HasSuffix(body, "}]}\n") {
		t.Errorf("without a limit: got %s", body)
	}
	var page webhookList
	s.admin("GET", "api/webhooks?limit=2", "").want(t, 200, &page)
	s.admin("DELETE", "api/webhooks/"+want[1], "").want(t, 204, nil)
	var rest webhookList
	s.admin("GET", "api/webhooks?cursor="+*page.NextCursor, "").want(t, 200, &rest)
	if len(rest.Data) != 5 || rest.Data[0].ID != want[2] || rest.NextCursor != nil {
		t.Errorf("behind one that was deleted: %+v", rest)
	}
	for _, query := range []string{"limit=0", "limit=201", "limit=x", "limit=", "cursor=x", "cursor=" + *page.NextCursor + "A", "limit=1&limit=2", "x=1"} {
		if fields := s.admin("GET", "api/webhooks?"+query, "").wantProblem(t, 400).fields(); fields == "" {
			t.Errorf("%s: no field is named", query)
		}
	}
	s.admin("GET", "api/webhooks?limit=2", "", "X-Tenant", "other").want(t, 200, &page)
	if len(page.Data) != 0 || page.NextCursor != nil {
		t.Errorf("another tenant has %+v", page)
	}
}

// startFull starts a site whose tenant full has so many webhooks.
func startFull(t *testing.T, n int) *site {
	t.Helper()
	folder := t.TempDir()
	fillWithWebhooks(t, embedded.New(folder), "full", n)
	c := newConfig()
	c.store = embedded.New(folder)
	return start(t, c)
}

// TestLongWebhookList reads a list that is sent in many pieces: whole, its head alone, and by
// a client that goes away.
func TestLongWebhookList(t *testing.T) {
	const n = 3000
	s := startFull(t, n)
	var list webhookList
	got := s.admin("GET", "api/webhooks", "", "X-Tenant", "full")
	got.want(t, 200, &list)
	if len(list.Data) != n || list.NextCursor != nil {
		t.Errorf("got %d webhooks", len(list.Data))
	}
	if length := got.header.Get("Content-Length"); length != "" || got.header.Get("Content-Type") != "application/json" {
		t.Errorf("a list in pieces has the length %q", length)
	}
	if head := s.admin(http.MethodHead, "api/webhooks", "", "X-Tenant", "full"); head.status != 200 || len(head.body) > 0 {
		t.Errorf("HEAD: got %d, %d bytes", head.status, len(head.body))
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET /hooks/api/webhooks HTTP/1.1\r\nHost: x\r\nX-Tenant: full\r\nAuthorization: "+asAdmin+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	s.wantCalm()
}
