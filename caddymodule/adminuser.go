package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"golang.org/x/net/http/httpguts"
)

const (
	defaultAdminUser  = "{http.auth.user.id}"
	certificatePrefix = "http.request.tls.client."
)

// isAdminUser says whether the request has the placeholder that makes its caller an
// admin.
func (a *access) isAdminUser(r *http.Request) bool {
	if strings.HasPrefix(a.adminUser.name, certificatePrefix) && (r.TLS == nil || len(r.TLS.PeerCertificates) == 0) {
		return false // Caddy gives some of these a value without a certificate, too
	}
	return a.adminUser.of(r) != ""
}

var onePlaceholder = regexp.MustCompile(`^\{([^{}]+)\}$`)

// checkAdminUser takes what only authentication sets. Whatever else a request has, it
// has for every caller, who would all be admins.
func checkAdminUser(value string) error {
	match := onePlaceholder.FindStringSubmatch(value)
	if match == nil {
		return errors.New("admin_user must be one placeholder of the request, such as " + defaultAdminUser)
	}
	name := match[1]
	for prefix, ok := range authenticated {
		if rest, found := strings.CutPrefix(name, prefix); found && ok(rest) {
			return nil
		}
	}
	return fmt.Errorf("admin_user must not be %s, which no authentication sets: use {http.auth.user.id}, "+
		"a header that your authentication sets, such as {http.request.header.Remote-User}, "+
		"a variable, such as {http.vars.user}, "+
		"or a field of the client's certificate, such as {http.request.tls.client.subject}", value)
}

// authenticated are the families of placeholders that authentication sets, and which
// of each.
var authenticated = map[string]func(rest string) bool{
	"http.auth.user.": func(rest string) bool { return rest != "" },
	"http.request.header.": func(name string) bool {
		return httpguts.ValidHeaderFieldName(name) && !hasMeaningInRequests(name)
	},
	"http.vars.":      func(name string) bool { return name != "" && !caddyVars[name] },
	certificatePrefix: certificateField.MatchString,
}

// certificateField is what Caddy knows of a client's certificate. A list of names
// without an index is never empty.
var certificateField = regexp.MustCompile(`(?i)^(` +
	`fingerprint|issuer|serial|subject|public_key|public_key_sha256|certificate_pem|certificate_der_base64|` +
	`san\.(dns_names|emails|ips|uris)\.[0-9]+)$`)

// caddyVars are the variables that Caddy itself sets, whoever calls.
var caddyVars = map[string]bool{
	"access_logger_names": true, "client_ip": true, "extended_connect_websocket_body": true, "fs": true,
	"log_level": true, "log_skip": true, "matchers.error": true, "reverse_proxy.proxy": true,
	"reverse_proxy.proxy_protocol_info": true, "reverse_proxy.tls_h1_only": true, "root": true, "span_id": true,
	"start_time": true, "trace_id": true, "trusted_proxy": true, "unhandled": true, "uuid": true,
}
