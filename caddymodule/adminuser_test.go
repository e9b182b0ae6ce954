package caddymodule

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-webhooks/caddy-webhooks/api"
)

// adminUsers are values of admin_user, and whether each may be one.
var adminUsers = map[string]bool{
	"{http.auth.user.id}":      true,
	"{http.auth.user.email}":   true,
	"{http.auth.user.}":        false,
	"{http.auth.candidate.id}": false, // may be somebody who was not let in
	"{http.auth.basic.error}":  false,

	"{header.Remote-User}":               true,
	"{header.X-Forwarded-User}":          true,
	"{http.request.header.Remote-User}":  true,
	"{http.request.header.}":             false,
	"{http.request.header.a b}":          false,
	"{header.Authorization}":             false,
	"{header.user-agent}":                false,
	"{header.Cookie}":                    false,
	"{header.X-Forwarded-For}":           false,
	"{header.Host}":                      false,
	"{http.response.header.X-User}":      false,
	"{http.reverse_proxy.header.X-User}": false,

	"{vars.user}":                     true,
	"{http.vars.user}":                true,
	"{http.vars.}":                    false,
	"{http.vars.client_ip}":           false,
	"{vars.client_ip}":                false,
	"{vars.trusted_proxy}":            false,
	"{vars.start_time}":               false,
	"{vars.root}":                     false,
	"{vars.uuid}":                     false,
	"{http.vars.reverse_proxy.proxy}": false,

	"{tls_client_subject}":                   true,
	"{tls_client_fingerprint}":               true,
	"{tls_client_serial}":                    true,
	"{tls_client_certificate_pem}":           true,
	"{http.request.tls.client.san.emails.0}": true,
	"{http.request.tls.client.san.emails}":   false,
	"{http.request.tls.client.nonsense}":     false,
	"{tls_version}":                          false,
	"{tls_cipher}":                           false,
	"{http.request.tls.server_name}":         false,

	"{method}": false, "{host}": false, "{hostport}": false, "{port}": false, "{remote}": false, "{remote_host}": false,
	"{remote_port}": false, "{client_ip}": false, "{scheme}": false, "{uri}": false, "{path}": false, "{path.0}": false,
	"{query}": false, "{query.user}": false, "{cookie.session}": false, "{labels.0}": false, "{uuid}": false, "{dir}": false,
	"{file}": false, "{orig_uri}": false, "{re.user.1}": false, "{rp.status_code}": false, "{http.request.proto}": false,
	"{http.request.body}": false, "{http.request.duration}": false, "{http.shutting_down}": false,

	"{env.ADMIN}": false, "{file./etc/hostname}": false, "{system.hostname}": false, "{time.now}": false,
	"{nonsense}": false, "bob": false, "{}": false, "{a}{b}": false, "x{http.auth.user.id}": false,
	"{http.auth.user.id}x": false, "{http.auth.user.id}{method}": false,
}

func TestAdminUser(t *testing.T) {
	for value, ok := range adminUsers {
		_, err := adapt(site("admin_user " + strconv.Quote(value)))
		if (err == nil) != ok {
			t.Errorf("%q: got %v", value, err)
		}
		if !ok && (!strings.Contains(err.Error(), "at Caddyfile:3") || !strings.Contains(err.Error(), "{http.auth.user.id}")) {
			t.Errorf("%q: the error does not name the line, or does not say what to use: %v", value, err)
		}
	}
	if err := checkAdminUser(""); err == nil {
		t.Error("an empty value was accepted")
	}
}

// TestAdminUserOfCertificate calls over TLS, with a certificate and without.
func TestAdminUserOfCertificate(t *testing.T) {
	certificate := clientCertificate(t)
	for _, field := range []string{
		"fingerprint", "issuer", "serial", "subject", "public_key", "public_key_sha256", "certificate_pem",
		"certificate_der_base64", "san.dns_names.0", "san.ips.0",
	} {
		t.Run(field, func(t *testing.T) {
			h := Handler{AdminUser: "{http.request.tls.client." + field + "}"}
			if got := roleOverTLS(t, h); got != api.Nobody {
				t.Errorf("without a certificate: got %d", got)
			}
			if got := roleOverTLS(t, h, certificate); got != api.Admin {
				t.Errorf("with a certificate: got %d", got)
			}
		})
	}
}

// roleOverTLS is the role of a client that calls over TLS with these certificates.
func roleOverTLS(t *testing.T, h Handler, certificates ...tls.Certificate) api.Role {
	t.Helper()
	a, err := h.newAccess(caddy.NewReplacer())
	if err != nil {
		t.Fatal(err)
	}
	var got api.Role
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = a.caller(caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, nil), "default").Role
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	defer server.Close() // ends the client's connections, too
	client := server.Client()
	transport, ok := client.Transport.(*http.Transport)
	if !ok {
		t.Fatalf("the client has a %T", client.Transport)
	}
	transport.TLSClientConfig.Certificates = certificates
	res, err := client.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return got
}

// clientCertificate makes a self-signed certificate of a client.
func clientCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ada"}, NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"ada.example"}, IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
