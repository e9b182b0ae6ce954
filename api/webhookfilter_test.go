package api_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// TestFindWebhooks finds webhooks and sorts them, in pages and all at once.
func TestFindWebhooks(t *testing.T) {
	s := start(t, newConfig())
	for i, name := range []string{"c", "a", "b"} {
		s.admin("POST", "api/webhooks", fmt.Sprintf(`{"url":"https://%s.example/Hook","description":"No. %d","enabled":%t}`, name, i, i != 1)).want(t, 201, nil)
	}
	var all webhookList
	s.admin("GET", "api/webhooks", "").want(t, 200, &all)
	for query, want := range map[string]string{
		"": "cab", "sort=created_at": "cab", "sort=-created_at": "bac", "sort=url": "abc",
		"enabled=true": "cb", "enabled=false": "a", "enabled=true&sort=url": "bc", "q=NO.": "cab", "q=A.EXAMPLE": "a", "q=" + all.Data[2].ID: "b",
		"q=hook&enabled=true&sort=-created_at": "bc", "q=nothing": "",
	} {
		for _, limit := range []string{"", "limit=1", "limit=2", "limit=200"} {
			var got strings.Builder
			for cursor := ""; ; {
				var page webhookList
				s.admin("GET", "api/webhooks?"+query+"&"+limit+cursor, "").want(t, 200, &page)
				for _, w := range page.Data {
					got.WriteByte(w.URL[len("https://")])
				}
				if page.NextCursor == nil {
					break
				}
				cursor = "&cursor=" + *page.NextCursor
			}
			if got.String() != want {
				t.Errorf("%s %s: got %q, want %q", query, limit, got.String(), want)
			}
		}
	}
	var page webhookList
	s.admin("GET", "api/webhooks?limit=1", "").want(t, 200, &page)
	byTime := *page.NextCursor
	s.admin("GET", "api/webhooks?limit=1&sort=url", "").want(t, 200, &page)
	byURL := *page.NextCursor
	for _, query := range []string{
		"q=", "q=" + strings.Repeat("x", 201), "enabled=", "enabled=1", "enabled=TRUE", "sort=", "sort=updated_at", "sort=-url", "sort=url&cursor=" + byTime,
		"cursor=" + byURL, "sort=url&cursor=AAAA", "sort=url&cursor=" + url.QueryEscape(byURL+"\n"),
	} {
		s.admin("GET", "api/webhooks?"+query, "").wantProblem(t, 400)
	}
}

// TestLongFindWebhooks finds the last of many webhooks, whether others are sent before it or not.
func TestLongFindWebhooks(t *testing.T) {
	const n = 3000
	s := startFull(t, n)
	var last webhook
	s.admin("POST", "api/webhooks", `{"url":"https://last.example"}`, "X-Tenant", "full").want(t, 201, &last)
	for query, want := range map[string]int{"q=LAST.": 1, "q=example": n + 1, "enabled=false": 0} {
		var list webhookList
		s.admin("GET", "api/webhooks?"+query, "", "X-Tenant", "full").want(t, 200, &list)
		if len(list.Data) != want || list.NextCursor != nil {
			t.Errorf("%s: %d webhooks, want %d", query, len(list.Data), want)
		}
	}
	var page webhookList
	s.admin("GET", "api/webhooks?q=LAST.&limit=1", "", "X-Tenant", "full").want(t, 200, &page)
	if len(page.Data) != 0 || page.NextCursor == nil {
		t.Errorf("the first page has %d webhooks of %d, and is no end", len(page.Data), n)
	}
}
