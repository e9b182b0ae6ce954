// Package caddymodule contains everything that knows Caddy: the app "webhooks" with its
// configuration and life cycle, the modules of its stores, and the handler that serves
// the HTTP API.
package caddymodule
