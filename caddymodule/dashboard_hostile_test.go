package caddymodule_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// testHostileTexts has endpoints and admins say what is meant to run, to deceive,
// or to break the page. It is shown as the text that it is.
func testHostileTexts(t *testing.T, d *dashboard) {
	bodies := map[string]string{
		"script":   `<script>window.pwned = 1</script><img src=x onerror="window.pwned = 2">`,
		"html":     `</pre></section><h1 id="pwned">Sign in</h1><iframe srcdoc="<script>parent.pwned = 3</script>"></iframe><form action=//evil.example>`,
		"control":  "a\x01b\x1b[31mc\x7fd",
		"bidi":     "user\u202egnp.exe\u2066\u200f",
		"one line": strings.Repeat("0123456789abcdef", 1024),
		"nested":   strings.Repeat("[", 8000) + strings.Repeat("]", 8000),
		"json":     `{"__proto__":{"x":1},"a":"</script>\u202e","a":1e999}`,
	}
	shown := map[string]string{
		"control": "aU+0001bU+001B[31mcU+007Fd",
		"bidi":    "userU+202Egnp.exeU+2066U+200F",
	}
	for name, body := range bodies {
		path := "/" + strings.ReplaceAll(name, " ", "-")
		d.answer(path, http.StatusOK, body)
		d.api(http.MethodPost, "webhooks", fmt.Sprintf(`{"url":%q,"description":%s}`, d.endpoint(path), quote(bodies["script"]+bodies["bidi"])), http.StatusCreated, nil)
	}
	d.visit("#webhooks")
	d.sees(`<script>window.pwned = 1</script>`)
	d.sees("userU+202Egnp.exe")
	for _, webhook := range d.webhooks() {
		var request struct {
			ID           string
			ResponseBody string `json:"response_body"`
		}
		d.api(http.MethodPost, "webhooks/"+webhook.ID+"/test", "", http.StatusOK, &request)
		d.visit("#requests?request=" + request.ID)
		d.until(`document.querySelector("#detail dl").textContent.includes(` + quote(webhook.URL) + `)`) // not the one before
		d.eval(`document.querySelector("[aria-label='Raw response body']")?.click()`)                    // what is long may still move
		name := strings.ReplaceAll(webhook.URL[strings.LastIndex(webhook.URL, "/")+1:], "-", " ")
		want, ok := shown[name]
		if !ok {
			want = request.ResponseBody
		}
		if got := d.text(`document.querySelector("#detail pre").textContent`); got != want {
			t.Errorf("%s: the page shows %.300q", name, got)
		}
		if out := d.text(sticksOut); out != "" {
			t.Errorf("%s: %s", name, out)
		}
		d.screenshot("hostile " + name)
	}
	// A link with something to run in it runs nothing either.
	d.visit(`#requests?request=%3Cimg%20src%3Dx%20onerror%3Dpwned%3D4%3E&webhook_id="%5D<script>&event_type=<b>`)
	d.sees("There is no such request")
	if got := d.text(`[window.pwned, document.getElementById("pwned"), document.querySelector("iframe, pre *:not(.unseen)")]`); got != ",," {
		t.Errorf("something ran: %s", got)
	}
}
