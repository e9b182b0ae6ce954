package caddymodule_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// testConnection ends Caddy under the page, and starts it again.
func testConnection(t *testing.T, d *dashboard) {
	d.visit("#webhooks")
	d.click("button", "Add webhook")
	d.fill("textbox", "URL", d.endpoint("/ok"))
	d.fill("textbox", "Description", "typed before")
	d.site.caddy.Kill()
	d.eval(`document.querySelector("#webhook-form [type=submit]").click()`)
	d.sees("Caddy cannot be reached. Trying again…")
	d.sees("Before you try again, check whether it was done.")
	d.screenshot("connection lost")
	d.site.start()
	d.until(`document.getElementById("connection").hidden`)
	if typed := d.text(`document.getElementById("webhook-description").value`); typed != "typed before" {
		t.Errorf("what was typed is %q", typed)
	}
	d.eval(`document.querySelector("#webhook-form [type=submit]").click()`)
	d.sees("Webhook added.")
	// A list that could not be read is there again by itself.
	d.api(http.MethodPost, "webhooks/"+d.webhooks()[0].ID+"/test", "", http.StatusOK, nil)
	d.site.caddy.Kill()
	d.eval(`document.getElementById("tab-requests").click()`)
	d.sees("This page tries again by itself.")
	d.screenshot("requests not read")
	d.site.start()
	d.rows(1)
	// The form of the filters has its choices too, and the list is live.
	d.until(`document.querySelectorAll("#filters option").length > 4`)
	d.live("Live")
	d.site.caddy.Kill()
	d.sees("Caddy cannot be reached. Trying again…")
	d.site.start()
	d.live("Live")
	d.emit("device_created", 1)
	d.rows(2)
}

// users has the browser's user be known, or not, by headers.
func (d *dashboard) users() (as func(network.Headers)) {
	call(d.tab, network.Enable, network.EnableParams{})
	d.cancelPrompts()
	return func(headers network.Headers) {
		call(d.tab, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: headers})
	}
}

// testSignedOut takes away what Caddy knows the user by.
func testSignedOut(t *testing.T, d *dashboard) {
	as := d.users()
	as(network.Headers{"X-User": "alice"})
	d.run(chromedp.Navigate(d.at("signed/")))
	d.sees("No webhooks yet")
	d.click("button", "Add webhook")
	d.fill("textbox", "URL", d.endpoint("/ok"))
	as(network.Headers{})
	d.eval(`document.querySelector("#webhook-form [type=submit]").click()`)
	d.sees("Sign in again in another tab, then try again here")
	d.screenshot("signed out")
	as(network.Headers{"X-User": "alice"})
	d.eval(`document.querySelector("#webhook-form [type=submit]").click()`)
	d.sees("Webhook added.")
	d.until(`document.getElementById("connection").hidden`)
	if got := d.webhooks(); len(got) != 1 || !strings.HasSuffix(got[0].URL, "/ok") {
		t.Errorf("got %+v", got)
	}
}

// testSignIn opens the page as nobody, and as somebody with a wrong password: the page in
// its place says what to do.
func testSignIn(t *testing.T, d *dashboard) {
	axe, err := os.ReadFile("testdata/axe-core/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	as := d.users()
	for _, at := range []string{d.at("signed/"), strings.Replace(d.at("signed/"), "://", "://anybody:wrong@", 1)} {
		d.run(chromedp.Navigate(at))
		d.sees("Sign in with the admin token as the password, under any user name.")
	}
	for _, look := range looks {
		d.size(look.width, 600)
		d.prefer("prefers-color-scheme", look.scheme)
		if out := d.text(sticksOut); out != "" {
			t.Errorf("%d pixels wide: %s", look.width, out)
		}
		d.screenshot(fmt.Sprintf("sign in %d %s", look.width, look.scheme))
		if look.axe {
			d.eval(string(axe))
			if found := d.text(axeFinds); found != "" {
				t.Errorf("%d pixels wide: %s", look.width, found)
			}
		}
	}
	if color := d.text(`getComputedStyle(document.querySelector("a")).color`); color != "rgb(31, 95, 196)" {
		t.Errorf("the link is %s", color)
	}
	as(network.Headers{"X-User": "alice"})
	d.click("link", "Try again")
	d.sees("No webhooks yet")
}

// cancelPrompts closes the browser's own windows that ask for a password.
func (p *tab) cancelPrompts() {
	p.t.Helper()
	answer := func(act func() error) {
		go func() {
			if err := act(); err != nil && p.ctx.Err() == nil {
				p.fault(err.Error())
			}
		}()
	}
	err := chromedp.Listen(p.ctx, func(event any) {
		switch event := event.(type) {
		case *fetch.EventRequestPaused:
			answer(func() error {
				_, err := chromedp.Call(p.ctx, fetch.ContinueRequest, fetch.ContinueRequestParams{RequestID: event.RequestID})
				return err
			})
		case *fetch.EventAuthRequired:
			answer(func() error {
				cancel := &fetch.AuthChallengeResponse{Response: fetch.AuthChallengeResponseResponseCancelAuth}
				_, err := chromedp.Call(p.ctx, fetch.ContinueWithAuth, fetch.ContinueWithAuthParams{RequestID: event.RequestID, AuthChallengeResponse: cancel})
				return err
			})
		}
	})
	if err != nil {
		p.t.Fatal(err)
	}
	call(p, fetch.Enable, fetch.EnableParams{HandleAuthRequests: new(true)})
}

// testPageMounts asks for the page in the ways that people type it.
func testPageMounts(t *testing.T, d *dashboard) {
	for _, path := range []string{"hooks", "hooks/", "hooks/#requests", "/hooks"} {
		d.run(chromedp.Navigate(d.at(path)))
		d.until(`document.querySelector("[role=tab][aria-selected=true]") && /No (webhooks|requests) yet/.test(document.body.innerText)`)
		if at := d.text("location.host + location.pathname"); !strings.HasPrefix(at, d.tenant+".localhost:") || !strings.HasSuffix(at, "/hooks/") {
			t.Errorf("%s leads to %s", path, at)
		}
	}
	d.run(chromedp.Navigate(strings.Replace(d.at("hooks/#requests"), "://", "://anybody:secret@", 1)))
	d.sees("No requests yet")
}
