package caddymodule_test

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
)

// TestStreamHTTP2 follows by HTTP/2, as browsers do when Caddy has a certificate: several
// streams on one connection, each of which ends when the configuration does.
func TestStreamHTTP2(t *testing.T) {
	onBothStores(t, func(t *testing.T, store string) {
		endpoint := newReceiver(t)
		config := siteConfig{
			webhooks: endpoint.configOf(store),
			global:   "servers {\n\tprotocols h1 h2c\n}",
		}
		s := startSite(t, config)
		transport := &http.Transport{Protocols: new(http.Protocols)}
		transport.Protocols.SetUnencryptedHTTP2(true)
		var connections atomic.Int32
		transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			connections.Add(1)
			return new(net.Dialer).DialContext(ctx, network, addr)
		}
		t.Cleanup(transport.CloseIdleConnections)
		s.streams = &http.Client{Transport: transport}
		s.subscribe(endpoint)
		streams := make([]*eventStream, 3)
		for i := range streams {
			streams[i] = s.follow("")
			streams[i].wantEvent("start")
			if streams[i].version != 2 {
				t.Fatalf("followed by HTTP/%d", streams[i].version)
			}
		}
		if n := connections.Load(); n != 1 {
			t.Errorf("followed by %d connections", n)
		}
		s.emitMany(2)
		for _, stream := range streams {
			stream.row()
			stream.row()
		}
		streams[2].cancel() // one ends, the others go on
		s.emitMany(1)
		newest := streams[0].row()
		if other := streams[1].row(); other.ID != newest.ID {
			t.Errorf("one stream has %s, the other %s", newest.ID, other.ID)
		}
		config.webhooks += "\ntimeout 14s\n"
		if err := s.load(config); err != nil {
			t.Fatal(err)
		}
		streams[0].wantEnd()
		streams[1].wantEnd()
	})
}
