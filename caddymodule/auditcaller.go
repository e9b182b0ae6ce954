package caddymodule

import (
	"crypto/sha256"
	"net"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// by names the admin who sent a request, for the audit log: the user whom the site
// authenticated, or else the place of the token in the configuration.
func (a *access) by(r *http.Request) string {
	if a.isAdminUser(r) {
		return shortened(a.adminUser.of(r))
	}
	token, _ := credentials(r)
	if g, ok := find(a.tokens, sha256.Sum256([]byte(token))); ok {
		return g.name
	}
	return "insecure_no_auth"
}

// clientAddress is that of the client: if Caddy trusts the proxy in front, that which the
// proxy names.
func clientAddress(r *http.Request) string {
	if ip, ok := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string); ok && ip != "" {
		return shortened(ip)
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	return shortened(host)
}

// maxNameLength bounds what the audit log takes of a request, in bytes.
const maxNameLength = 256

// shortened keeps a text that comes with a request from filling the audit log.
func shortened(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= maxNameLength {
		return text
	}
	end := maxNameLength
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}
