package contracttest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestAudit does all that is audited, and what is refused, and reads the audit log.
func TestAudit(t *testing.T) {
	t.Parallel()
	c := fast.admin()
	endpoint := receive(t, nil)
	hook := c.must(t, 201, "POST", "/api/webhooks", `{"url":"`+endpoint.URL+`","secret":"a secret of the audit"}`)
	id, _ := hook["id"].(string)
	path := "/api/webhooks/" + id
	c.must(t, 200, "PATCH", path, `{"description":"changed","secret":"another secret of the audit"}`)
	sent := c.must(t, 200, "POST", path+"/test", "{}")
	c.must(t, 200, "POST", fmt.Sprintf("/api/requests/%v/rerun", sent["id"]), "")
	c.must(t, 204, "DELETE", path, "")
	c.call(t, "DELETE", path, "").want(t, 404)
	c.call(t, "POST", "/api/webhooks", `{"url":"nonsense"}`).want(t, 422)

	raw := c.call(t, "GET", "/api/audit", "")
	raw.want(t, 200)
	if strings.Contains(raw.body, "secret of the audit") || strings.Contains(raw.body, adminToken) {
		t.Errorf("there is a secret in %s", raw.body)
	}
	page := raw.object(t)
	entries, _ := page["data"].([]any)
	if len(entries) != 5 || page["next_cursor"] != nil {
		t.Fatalf("%d entries, want 5: %s", len(entries), raw.body)
	}
	slices.Reverse(entries)
	var actions []string
	for i, one := range entries {
		entry, _ := one.(object)
		at, err := time.Parse(time.RFC3339Nano, fmt.Sprint(entry["at"]))
		if err != nil || time.Since(at).Abs() > time.Hour || entry["by"] != "admin_token 1" || entry["address"] != "127.0.0.1" || entry["webhook_id"] != id {
			t.Errorf("entry %d is %v", i, entry)
		}
		actions = append(actions, fmt.Sprint(entry["action"]))
		before, hasBefore := entry["before"].(object)
		after, hasAfter := entry["after"].(object)
		if hasBefore != (i == 1 || i == 4) || hasAfter != (i < 2) {
			t.Errorf("entry %d is %v", i, entry)
		}
		if i == 1 && (before["description"] != "" || after["description"] != "changed" || after["has_secret"] != true || len(after) != 2) {
			t.Errorf("the change is %v", entry)
		}
	}
	if want := []string{"webhook_created", "webhook_changed", "webhook_tested", "request_rerun", "webhook_deleted"}; !slices.Equal(actions, want) {
		t.Errorf("the actions are %v, want %v", actions, want)
	}
	wantAuditPages(t, c, raw.body)
}

// wantAuditPages reads the same page by page, and as those who may not.
func wantAuditPages(t *testing.T, c client, whole string) {
	t.Helper()
	n := 0
	for query := "?limit=2"; query != ""; n++ {
		page := c.must(t, 200, "GET", "/api/audit"+query, "")
		query = ""
		if cursor, more := page["next_cursor"].(string); more {
			query = "?limit=2&cursor=" + cursor
		}
	}
	if n != 3 {
		t.Errorf("5 entries are on %d pages of 2", n)
	}
	if got := c.call(t, "GET", "/api/audit?until=2099-01-01T00:00:00Z&since=2020-01-01T00:00:00Z", ""); got.body != whole {
		t.Errorf("within a period there are %s, want %s", got.body, whole)
	}
	if page := fast.admin().must(t, 200, "GET", "/api/audit", ""); len(page["data"].([]any)) != 0 {
		t.Errorf("another tenant sees %v", page)
	}
	c.emitter().call(t, "GET", "/api/audit", "").want(t, 403)
	c.with("Authorization", "").call(t, "GET", "/api/audit", "").want(t, 401)
	c.call(t, "POST", "/api/audit", "").want(t, 405)
	c.call(t, "GET", "/api/audit?limit=0", "").want(t, 400)
	if got := slow.admin().call(t, "GET", "/api/audit", ""); got.status != 404 || !strings.Contains(got.body, "write audit into the global webhooks block") {
		t.Errorf("without the option: %d %s", got.status, got.body)
	}
}
