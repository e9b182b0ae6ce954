package caddymodule_test

import (
	"net/http"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// testViewer opens the page as somebody who may only read. It shows everything, and offers
// nothing that would be refused.
func testViewer(_ *testing.T, d *dashboard) {
	d.users()(network.Headers{"Authorization": "Bearer viewer-token-of-the-tests"})
	d.run(chromedp.Navigate(d.at("signed/")))
	const says = "You can look at everything here, and change nothing."
	d.sees("No webhooks yet")
	d.sees(says)
	d.seesNot("Add one")
	d.screenshot("viewer none")

	d.answer("/ok", http.StatusNotFound, "no such place")
	d.subscribe("/ok")
	d.emit("device_created", 1)
	d.logs("status=failed", 1)
	d.run(chromedp.Navigate(d.at("signed/")), chromedp.Reload())
	d.sees(d.endpoint("/ok"))
	d.sees("Requests")
	d.until(`document.querySelector("#webhook-list [role=switch]").disabled`)
	d.screenshot("viewer webhooks")
	d.eval(`location.hash = "#requests"`)
	d.sees("device_created")
	d.eval(`document.querySelector("tbody .open").click()`)
	d.sees("no such place")
	d.screenshot("viewer request")
	for _, selector := range []string{".add", ".bulk", "#webhook-list .actions", "#detail footer", "#rerun", "tbody input", ".state .primary"} {
		d.until(`![...document.querySelectorAll("` + selector + `")].some((each) => each.checkVisibility())`)
	}

	// An admin is not told so.
	d.visit("")
	d.sees("Add webhook")
	d.seesNot(says)
}
