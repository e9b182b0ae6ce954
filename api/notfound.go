package api

import (
	"fmt"
	"net/http"
	"strings"
)

// notFound refuses a path that is no route. One that ends in a route was probably
// mounted without taking the prefix off, which is easy to miss in a Caddyfile.
func (c *call) notFound(path string) *problem {
	p := &problem{Status: http.StatusNotFound, Detail: "There is nothing at this path."}
	if prefix := c.mountPrefix(path); prefix != "" {
		p.Detail += fmt.Sprintf(" It still begins with %[1]s, which has to be taken off first:"+
			" in a Caddyfile, put webhooks into a block handle_path %[1]s/*.", prefix)
	}
	return p
}

// maxShownPrefix bounds how much of a path a problem repeats, in bytes.
const maxShownPrefix = 100

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
			return "/" + strings.Trim(path[:i], "/")
		}
	}
	return ""
}
