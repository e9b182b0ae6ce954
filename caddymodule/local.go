package caddymodule

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-webhooks/caddy-webhooks/api"
)

// notLocal is why insecure_no_auth does not let a call in; nil if it does. If there are tokens,
// the answer asks for one. It is for
// programs and browsers of this machine. A page of somebody else's may be shown by such a
// browser, and may have a name that leads here (DNS rebinding): then the browser takes it
// for ours, but names its host.
//
// A proxy on this machine has its address, too, whoever calls it. Those that say for whom
// they call are not let in, not even for somebody on this machine: what they say of that
// may be what the client said. A tunnel that says nothing is known by the host alone.
func notLocal(r *http.Request, tokens bool) *api.Refusal {
	var why *notLetIn
	switch {
	case !isLoopback(r.RemoteAddr):
		why = fromElsewhere
	case r.Header["X-Forwarded-For"] != nil || r.Header["Forwarded"] != nil:
		why = byProxy
	case !isLocalHost(r.Host) && !isHostOfSite(r):
		why = toOtherHost
	default:
		return nil
	}
	if tokens {
		return &why.askForToken
	}
	return &why.forbid
}

// notLetIn are the answers to a caller whom insecure_no_auth does not let in.
type notLetIn struct{ askForToken, forbid api.Refusal }

func newNotLetIn(why, advice string) *notLetIn {
	why = "Without a token, insecure_no_auth " + why + ": "
	return &notLetIn{
		api.Refusal{Status: http.StatusUnauthorized, Detail: why + "send one in the header \"Authorization: Bearer <token>\"."},
		api.Refusal{Status: http.StatusForbidden, Detail: why + advice},
	}
}

var (
	fromElsewhere = newNotLetIn("lets in only callers on this machine", "configure a token for others.")
	byProxy       = newNotLetIn("does not let in what comes by a proxy", "configure a token, or call this site directly.")
	toOtherHost   = newNotLetIn("lets in only calls to localhost, or to a host that the address of this site names", "call that, or configure a token.")
)

// isLoopback says whether a peer of a connection is on this machine.
func isLoopback(peer string) bool {
	address, err := netip.ParseAddrPort(peer)
	return err == nil && address.Addr().Unmap().IsLoopback()
}

// isLocalHost says whether the host of a call is this machine for every browser (RFC 6761).
func isLocalHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if address, err := netip.ParseAddr(host); err == nil {
		return address.Unmap().IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// isHostOfSite says whether the configuration names the host of a call in an address of the
// server's sites: whoever wrote it has chosen the name.
func isHostOfSite(r *http.Request) bool {
	server, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return false
	}
	for i := range server.Routes {
		for _, matchers := range server.Routes[i].MatcherSets {
			for _, m := range matchers {
				hosts, ok := m.(*caddyhttp.MatchHost)
				if !ok {
					continue
				}
				if matches, err := hosts.MatchWithError(r); err == nil && matches {
					return true
				}
			}
		}
	}
	return false
}
