package caddymodule_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// shownWebhook is what the API says of a webhook.
type shownWebhook struct {
	ID          string
	URL         string
	Description string
	Enabled     bool
	EventTypes  []string `json:"event_types"`
	HasSecret   bool     `json:"has_secret"`
}

func (d *dashboard) webhooks() []shownWebhook {
	d.t.Helper()
	var list struct{ Data []shownWebhook }
	d.api(http.MethodGet, "webhooks", "", http.StatusOK, &list)
	return list.Data
}

func testAddWebhook(t *testing.T, d *dashboard) {
	d.visit("")
	d.sees("No webhooks yet")
	d.screenshot("webhooks none")
	d.click("button", "Add webhook")
	d.fill("textbox", "URL", d.endpoint("/ok"))
	d.sees("whsec_ followed by the base64 of at least 24 random bytes")
	d.click("button", "Generate")
	d.sees("Copy it now: it cannot be seen again")
	secret := d.text(`document.getElementById("webhook-secret").value`)
	if !regexp.MustCompile(`^whsec_[A-Za-z0-9+/]{43}=$`).MatchString(secret) {
		t.Errorf("the secret is %q", secret)
	}
	d.click("button", "Generate")
	if again := d.text(`document.getElementById("webhook-secret").value`); again == secret {
		t.Error("the same secret was generated twice")
	}
	d.eval(`navigator.clipboard.writeText = async (text) => { window.copied = text; }`)
	d.click("button", "Copy")
	d.until(`window.copied === document.getElementById("webhook-secret").value`)
	d.click("radio", "Select types to send")
	d.sees("A new device is added.")
	d.sees("Types that are added later are not sent.")
	d.click("checkbox", "device_created")
	d.click("checkbox", "group_deleted")
	d.fill("textbox", "Description", "Inventory")
	d.screenshot("webhook form")
	d.eval(`document.querySelector("#webhook-form [type=submit]").click()`)
	d.sees("Webhook added.")
	d.sees("none yet")
	d.screenshot("webhooks one")
	got := d.webhooks()
	if len(got) != 1 || got[0].URL != d.endpoint("/ok") || got[0].Description != "Inventory" || !got[0].Enabled || !got[0].HasSecret ||
		len(got[0].EventTypes) != 2 || got[0].EventTypes[0] != "device_created" || got[0].EventTypes[1] != "group_deleted" {
		t.Errorf("got %+v", got)
	}
	if seen := d.text(`document.documentElement.outerHTML`); strings.Contains(seen, secret) {
		t.Error("the page still has the secret")
	}
	if kept := d.text(`document.getElementById("webhook-secret").value`); kept != "" {
		t.Error("the form still has the secret")
	}
}

// testWebhookChecks types what is refused, before and after Caddy is asked.
func testWebhookChecks(t *testing.T, d *dashboard) {
	d.visit("")
	d.click("button", "Add webhook")
	d.press("Enter")
	d.sees("The URL is missing.")
	for url, want := range map[string]string{
		"ftp://example.com":          "begin with https://",
		"example.com":                "begin with https://",
		"https://me:pass@example.at": "user name, password",
		"https://example.com/#top":   "fragment",
		"http://example.com":         "Use https",
		"https://localhost/x":        "localhost is not a public address",
		"https://0x7f.1/":            "127.0.0.1 is not a public address",
		"https://192.168.1.7/x":      "192.168.1.7 is not a public address",
		"https://[fd00::1]/":         "is not a public address",
		"https://[::ffff:10.0.0.1]/": "is not a public address",
	} {
		d.fill("textbox", "URL", url)
		d.sees(want)
	}
	d.fill("textbox", "URL", "https://[2606:4700::1111]/")
	d.sees("Events are sent to this URL by POST.")
	// Caddy has the last word, at the field that it is about.
	d.fill("textbox", "URL", "https://10.0.0.1/x")
	d.click("radio", "Select types to send")
	d.press("Enter")
	d.sees("Select at least one type")
	d.click("radio", "Send all event types")
	d.press("Enter")
	d.until(`document.getElementById("webhook-url-error").textContent.includes("is not public")`)
	if focused := d.focused(); focused != "URL" {
		t.Errorf("the focus is on %q", focused)
	}
	d.screenshot("webhook form refused")
	// Escape does not drop what was typed; Cancel does.
	for range 2 {
		d.press("Escape")
		d.sees("Press Cancel to discard them.")
	}
	d.click("button", "Cancel")
	d.until(`!document.getElementById("webhook-form").open`)
	if got := d.webhooks(); len(got) > 0 {
		t.Errorf("got %+v", got)
	}
}

func testChangeWebhook(t *testing.T, d *dashboard) {
	d.api(http.MethodPost, "webhooks", `{"url":"`+d.endpoint("/old")+`","secret":"old","event_types":["group_created"]}`, http.StatusCreated, nil)
	d.visit("")
	d.sees("Signed")
	d.click("button", "Edit")
	d.sees("A secret is set. Enter a new one to replace it.")
	d.fill("textbox", "URL", d.endpoint("/new"))
	d.fill("textbox", "Secret", "whsk_by-mistake")
	d.click("switch", "Enabled")
	d.click("radio", "Send all event types")
	d.click("button", "Save webhook")
	d.sees("Webhook saved.")
	d.sees("All event types")
	d.sees("The secret looks like one of Standard Webhooks, but does not begin with whsec_")
	got := d.webhooks()[0]
	if got.URL != d.endpoint("/new") || got.Enabled || !got.HasSecret || got.EventTypes[0] != "*" {
		t.Errorf("got %+v", got)
	}
	if focused := d.focused(); focused != "Edit" {
		t.Errorf("the focus is on %q", focused)
	}
	d.screenshot("webhooks disabled")
	d.click("switch", "Enabled")
	d.sees("Enabled. Deliveries that waited are sent now.")
	d.click("button", "Edit")
	d.click("checkbox", "Remove the secret, so that requests are no longer signed")
	d.click("button", "Save webhook")
	d.sees("Not signed")
	if got := d.webhooks()[0]; !got.Enabled || got.HasSecret {
		t.Errorf("got %+v", got)
	}
}

func testDeleteWebhook(t *testing.T, d *dashboard) {
	d.subscribe("/ok")
	d.visit("")
	d.click("button", "Delete")
	endpoint, err := url.Parse(d.site.url)
	if err != nil {
		t.Fatal(err)
	}
	field := "Type " + endpoint.Host + " to confirm"
	d.sees("This cannot be undone.")
	d.fill("textbox", field, "anything")
	d.press("Enter")
	d.until(`document.querySelector("#remove .error").textContent !== ""`)
	d.screenshot("webhook delete")
	if len(d.webhooks()) != 1 {
		t.Error("it was deleted without its name")
	}
	d.click("button", "Cancel")
	// A host that Caddy takes and browsers do not.
	d.api(http.MethodPost, "webhooks", `{"url":"https://1.2.3.4.5/x"}`, http.StatusCreated, nil)
	d.visit("#requests")
	d.visit("#webhooks")
	d.until(`document.querySelectorAll("#webhook-list li").length === 2`)
	d.eval(`document.querySelectorAll("#webhook-list .danger")[1].click()`)
	d.fill("textbox", "Type delete to confirm", "delete")
	d.press("Enter")
	d.until(`document.querySelectorAll("#webhook-list li").length === 1`)
	d.click("button", "Delete")
	d.fill("textbox", field, endpoint.Host)
	d.press("Enter")
	d.sees("No webhooks yet")
	if got := d.webhooks(); len(got) > 0 {
		t.Errorf("got %+v", got)
	}
}

func testTestEvent(_ *testing.T, d *dashboard) {
	d.subscribe("/ok")
	d.answer("/fails", http.StatusTeapot, "short and stout")
	d.subscribe("/fails")
	d.visit("")
	d.until(`document.querySelectorAll("#webhook-list li").length === 2`)
	d.eval(`document.querySelectorAll("#webhook-list button")[0].click()`)
	d.sees("success 200")
	d.sees("last ")
	d.eval(`document.querySelectorAll("#webhook-list button")[3].click()`)
	d.sees("failed 418")
	d.screenshot("webhooks tested")
	d.eval(`document.querySelectorAll("#webhook-list li")[1].querySelector(".result a").click()`)
	d.sees("short and stout")
}

// testUnlistedTypes uses a Caddy that accepts any event type, and so has none to
// choose from.
func testUnlistedTypes(t *testing.T, d *dashboard) {
	d.visit("")
	d.click("button", "Add webhook")
	d.fill("textbox", "URL", d.endpoint("/ok"))
	d.click("radio", "Select types to send")
	d.fill("textbox", "Names, one per line", "order.paid\n\n order.sent ")
	d.eval(`document.querySelector("#webhook-form [type=submit]").click()`)
	d.sees("Webhook added.")
	if got := d.webhooks()[0].EventTypes; len(got) != 2 || got[0] != "order.paid" || got[1] != "order.sent" {
		t.Errorf("got %q", got)
	}
	d.api(http.MethodDelete, "webhooks/"+d.webhooks()[0].ID, "", http.StatusNoContent, nil)
}
