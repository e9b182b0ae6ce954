package api

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

// notFound refuses a path that is no route. One that ends in a route was probably
// mounted without taking the prefix off, which is easy to miss in a Caddyfile.
func (c *call) notFound(path string) *problem {
	p := &problem{Status: http.StatusNotFound, Detail: "There is nothing at this path."}
	if prefix := c.mountPrefix(path); prefix != "" {
		p.Detail += fmt.Sprintf(" It still begins with %[1]s, which must be removed first:"+
			" in a Caddyfile, put webhooks into a handle_path %[1]s/* block.", prefix)
	}
	return p
}

// maxShownPrefix bounds how much of a path a problem repeats, in bytes.
const maxShownPrefix = 100

// shownPrefix matches the prefixes that a problem repeats: what a Caddyfile can contain as
// it stands. Paths of requests can have any bytes, even some that are not UTF-8.
var shownPrefix = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)+$`)

// mountPrefix finds what stands before a route in a path, "" for nothing.
func (c *call) mountPrefix(path string) string {
	for i, char := range path {
		if char != '/' || i == 0 || i > maxShownPrefix {
			continue
		}
		rest := path[i+1:]
		if rest == "" && c.URL != nil && c.URL.Path != path {
			break // a prefix was taken off: this is a mistyped address
		}
		if route, _ := findRoute(rest); route != nil {
			if prefix := "/" + strings.Trim(path[:i], "/"); shownPrefix.MatchString(prefix) {
				return prefix
			}
			break
		}
	}
	return ""
}
