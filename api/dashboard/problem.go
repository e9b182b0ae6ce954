package dashboard

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"strconv"
)

// Problem is the page for people in place of the page for admins, when that cannot be
// shown. It loads nothing, since whoever sees it may not.
type Problem struct {
	Status    int
	Title     string
	Sentences []string // what is wrong, and what to do
}

//go:embed problem.html
var problemSource string

//go:embed dashboard.css
var style string

var problemPage = template.Must(template.New("problem").Parse(problemSource))

// problemPolicy lets the page have its style, and nothing else.
var problemPolicy = func() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; img-src data:; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}()

// ServeHTTP answers with the problem.
func (p *Problem) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	var content bytes.Buffer
	err := problemPage.Execute(&content, struct {
		*Problem
		Style template.CSS
	}{p, template.CSS(style)}) //nolint:gosec // it is part of the program
	if err != nil {
		panic(err) // a buffer takes everything
	}
	h := w.Header()
	h.Set("Content-Security-Policy", problemPolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Type", mediaTypes[".html"])
	h.Set("Content-Length", strconv.Itoa(content.Len()))
	w.WriteHeader(p.Status)
	_, _ = content.WriteTo(w) // whoever does not read it is gone
}
