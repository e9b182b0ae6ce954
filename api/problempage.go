package api

import (
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddy-webhooks/caddy-webhooks/api/dashboard"
)

// asksForPage says whether somebody asks for the page for admins. It is the one thing
// here that people open in a browser.
func asksForPage(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && strings.TrimPrefix(r.URL.Path, "/") == ""
}

// prefersHTML says whether a client names HTML as what it takes, as browsers do, and
// does not rather have JSON.
func prefersHTML(h http.Header) bool {
	html, json := 0.0, 0.0
	for _, accepted := range strings.Split(strings.Join(h.Values("Accept"), ","), ",") {
		name, parameters, err := mime.ParseMediaType(accepted)
		if err != nil {
			continue
		}
		weight := 1.0
		if q, ok := parameters["q"]; ok {
			if weight, err = strconv.ParseFloat(q, 64); err != nil {
				continue
			}
		}
		switch name {
		case "text/html":
			html = max(html, weight)
		case "application/problem+json", "application/json":
			json = max(json, weight)
		}
	}
	return html > 0 && html >= json
}

// page is the problem for people.
func (p *problem) page() *dashboard.Problem {
	page := &dashboard.Problem{Status: p.Status, Title: http.StatusText(p.Status), Sentences: []string{p.Detail}}
	const signIn = "Sign in with the admin token as the password, under any user name."
	switch p.Status {
	case http.StatusUnauthorized:
		page.Title = "Sign in"
		page.Sentences = []string{signIn, "If this site has a login page, log in there first, then try again."}
	case http.StatusForbidden:
		page.Title = "Not allowed"
		if p.forAdmins {
			page.Title = "For admins only"
			page.Sentences = append(page.Sentences, signIn)
		}
	case http.StatusServiceUnavailable:
		page.Title = "Not available right now"
	}
	for _, each := range p.Errors {
		page.Sentences = append(page.Sentences, each.Field+": "+each.Detail)
	}
	return page
}
