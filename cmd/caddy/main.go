// Command caddy is a stock Caddy with the webhooks module.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-webhooks/caddy-webhooks/caddymodule"
)

func main() {
	caddycmd.Main()
}
