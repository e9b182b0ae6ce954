package caddymodule_test

import (
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// openNewest opens the newest request.
func (d *dashboard) openNewest() {
	d.t.Helper()
	d.until(`document.querySelector("#requests tbody .open")`)
	d.click("link", d.text(`document.querySelector("#requests tbody .open").textContent`))
	d.until(`document.querySelector("#detail").open && document.querySelector("#detail dl")`)
}

// wantCurl checks that the curl command that the panel shows contains some texts, and that a
// shell understands it.
func (d *dashboard) wantCurl(texts ...string) (command string) {
	d.t.Helper()
	command = d.text(`document.querySelector("#detail [aria-label='curl command']").textContent`)
	if out, err := exec.Command("sh", "-n", "-c", command).CombinedOutput(); err != nil {
		d.t.Errorf("%v: %s in\n%s", err, out, command)
	}
	for _, text := range texts {
		if !strings.Contains(command, text) {
			d.t.Errorf("%q is not in\n%s", text, command)
		}
	}
	return command
}

func testDetail(t *testing.T, d *dashboard) {
	d.answer("/in", http.StatusOK, `{"stored":true,"count":12345678901234567890,"tags":[],"nested":{"a":[1,2]}}`)
	webhook, other := d.subscribe("/in"), d.subscribe("/other")
	d.api(http.MethodPatch, "webhooks/"+webhook, `{"secret":"known to its owner"}`, http.StatusOK, nil)
	d.api(http.MethodPost, "webhooks/"+webhook+"/test", "", http.StatusOK, nil)
	event := d.emit("device_created", 1)
	d.logs("event_id="+event, 2)
	d.visit("#requests?webhook_id=" + webhook)
	d.openNewest()
	for _, want := range []string{
		"success", "200", d.endpoint("/in"), "device_created", event, "1/3",
		"\"count\": 12345678901234567890,\n  \"tags\": [],\n", // laid out, with every digit
		`"serial": 12345678901234567890`,
		"Content-Type: application/json\nUser-Agent: Caddy-Webhooks\nX-Level-Signature: sha256=********",
		"Other webhooks for this event", d.endpoint("/other"),
	} {
		d.sees(want)
	}
	d.screenshot("detail")
	inView := `document.getElementById("rerun").getBoundingClientRect().bottom < innerHeight`
	d.until(inView)
	d.click("checkbox", "Raw response body")
	d.sees(`{"stored":true,"count":12345678901234567890,"tags":[],"nested":{"a":[1,2]}}`)
	copies := `navigator.clipboard.writeText = async (text) => { window.copied = text; }`
	d.eval(copies)
	d.click("button", "Copy response body")
	d.until(`window.copied.startsWith('{"stored":true,')`)
	// Back closes the panel, and its address opens it.
	link := d.text("location.hash")
	d.eval("history.back()")
	d.until(`!document.querySelector("#detail").open`)
	d.run(chromedp.Navigate("about:blank")) // as if somebody else had the link
	d.visit(link)
	d.until(`document.querySelector("#detail dl")`)
	d.until(inView)
	// A shell understands the command.
	d.eval(copies)
	d.eval(`document.querySelectorAll("#detail details").forEach((details) => { details.open = true; })`)
	d.click("button", "Copy curl command")
	d.until(`window.copied?.startsWith("SECRET=")`)
	d.wantCurl(event, `'X-Level-Signature: sha256='"$SIGNATURE"`)
	d.seesCode("Go", "JavaScript", "Python", "Ruby", "PHP")
	d.click("button", "Close")
	d.until(`!document.querySelector("#detail").open && !location.hash.includes("request=")`)
	// Without a secret there is nothing to sign.
	d.visit("#requests?webhook_id=" + other)
	d.openNewest()
	d.sees("User-Agent: Caddy-Webhooks")
	d.seesNot("sha256=********")
	if command := d.wantCurl(event); strings.Contains(command, "SIGNATURE") {
		t.Errorf("the command signs a request that was not signed:\n%s", command)
	}
	d.visit("#requests?request=00000000-0000-7000-8000-000000000000")
	d.sees("There is no such request, or it is no longer kept.")
}

// seesCode chooses each language, and waits for its code that checks a signature.
func (d *dashboard) seesCode(languages ...string) {
	d.t.Helper()
	for _, language := range languages {
		d.eval(`{
			const choice = document.querySelector("#detail select");
			choice.value = "` + language + `";
			choice.dispatchEvent(new Event("change"));
		}`)
		d.until(`/sha256=/.test(document.querySelector("#detail pre[aria-label=Code]").textContent)`)
	}
}

// testAttempts watches a delivery until it has failed for good.
func testAttempts(_ *testing.T, d *dashboard) {
	webhook := d.subscribe("/fails")
	d.failOnce(webhook, "/fails", "device_created", 1)
	d.visit("#requests")
	d.openNewest()
	d.sees("Attempt 1/3")
	d.sees("Next attempt")
	d.screenshot("detail waiting")
	d.api(http.MethodPatch, "webhooks/"+webhook, `{"enabled":true}`, http.StatusOK, nil)
	d.sees("Attempt 2/3")
	d.sees("Attempt 3/3")
	d.seesNot("Next attempt")
}

func testRerun(_ *testing.T, d *dashboard) {
	d.answer("/in", http.StatusServiceUnavailable, "later, please")
	webhook := d.subscribe("/in")
	d.emit("device_created", 1)
	d.logs("", 3)
	d.visit("#requests")
	d.openNewest()
	d.sees("later, please")
	d.sees("Sends the same payload again.")
	d.click("button", "Re-run request")
	d.until(`document.getElementById("rerun-result").innerText.includes("failed 503")`)
	d.answer("/in", http.StatusOK, "thanks")
	d.click("button", "Re-run request")
	d.until(`document.getElementById("rerun-result").innerText.includes("success 200")`)
	d.screenshot("detail re-run")
	d.logs("", 5)
	d.rows(5)
	d.click("link", "Show request")
	d.sees("thanks")
	// The page says why a request cannot be sent.
	d.api(http.MethodPatch, "webhooks/"+webhook, `{"enabled":false}`, http.StatusOK, nil)
	d.click("button", "Re-run request")
	d.sees("The webhook is disabled: enable it first.")
}

// testBulk re-runs selected requests, and then all failed ones. Each delivery is sent once,
// and none that has succeeded.
func testBulk(t *testing.T, d *dashboard) {
	d.answer("/in", http.StatusServiceUnavailable, "later, please")
	d.subscribe("/in")
	d.emit("device_created", 4)
	d.logs("status=failed", 12)
	d.answer("/in", http.StatusOK, "thanks")
	d.visit("#requests")
	d.rows(12)
	// All attempts of the newest delivery.
	d.eval(`document.querySelectorAll("#requests tbody input")[0].click()`)
	d.sees("1 request selected")
	d.eval(`document.querySelectorAll("#requests tbody input")[11].click()`)
	d.sees("2 requests selected")
	d.screenshot("requests selected")
	d.click("button", "Re-run selected")
	d.sees("2 failed requests found.")
	d.screenshot("bulk asks")
	d.click("button", "Re-run")
	d.sees("succeeded, 0 failed.")
	d.screenshot("bulk done")
	d.click("button", "Close")
	d.seesNot("2 requests selected")
	var page struct {
		Data []struct {
			EventID string `json:"event_id"`
		}
	}
	d.api(http.MethodGet, "requests?status=success", "", http.StatusOK, &page)
	rerun := make(map[string]bool)
	for _, request := range page.Data {
		rerun[request.EventID] = true
	}
	if len(rerun) != len(page.Data) {
		t.Errorf("a delivery was sent twice: %v", page.Data)
	}
	d.click("button", "Re-run all matching failures…")
	d.sees("12 failed requests found.")
	d.sees("are earlier attempts")
	d.click("button", "Re-run")
	d.sees("succeeded, 0 failed.")
	d.screenshot("bulk all")
	d.logs("status=success", 4)
}
