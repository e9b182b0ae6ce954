package caddymodule_test

import (
	"net/url"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestSignOut signs in with a token, and by Caddy's own login, and out again: then the browser
// has no password any more. It needs Chromium's own memory of passwords.
func TestSignOut(t *testing.T) {
	s := startSite(t, siteConfig{
		webhooks: "store embedded " + t.TempDir(),
		more:     "handle_path /users/* {\n" + mountedUsers + "\nwebhooks\n}",
	})
	s.ready()
	browser := startChromium(t)
	for _, tc := range []struct {
		mount string
		as    *url.Userinfo
		then  string
	}{
		{"/hooks/", url.UserPassword("any", adminToken), "Sign in with the admin token as the password"},
		{"/users/", url.UserPassword("bob", "password"), "HTTP ERROR 401"},
	} {
		at := url.URL{Scheme: "http", Host: s.addr, Path: tc.mount}
		as := at
		as.User = tc.as
		p := newTab(t, browser)
		p.run(chromedp.Navigate(as.String()))
		p.sees("No webhooks yet")
		p.cancelPrompts()
		p.run(chromedp.Navigate(at.String()), chromedp.Reload()) // it is remembered
		p.sees("No webhooks yet")
		p.screenshot("sign out")
		p.click("button", "Sign out")
		p.sees(tc.then)
		p.eval("location.reload()")
		p.sees(tc.then)
	}
}
