// Command traffic serves the product of this example, for Caddy to stand before it.
package main

import (
	"log"
	"net/http"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/examples/traffic/devices"
)

func main() {
	server := &http.Server{Addr: "127.0.0.1:3000", Handler: devices.Handler(), ReadHeaderTimeout: 10 * time.Second}
	log.Printf("The product listens on %s", server.Addr)
	log.Fatal(server.ListenAndServe())
}
