package sender

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// pemOf writes a certificate and its key.
func pemOf(t *testing.T, cert tls.Certificate) (certificate, key string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// TestIdentity sends to endpoints that want certificates, and answer with the serial number of the
// one that they got, over each protocol, by turns with different ones and with none.
func TestIdentity(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	forClients := func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }
	identity := func(change ...func(*x509.Certificate)) (*Identity, string) {
		cert := ca.issue(append(change, forClients)...)
		i, err := NewIdentity(pemOf(t, cert))
		if err != nil {
			t.Fatal(err)
		}
		return i, i.cert.Leaf.SerialNumber.String()
	}
	first, firstSerial := identity()
	second, secondSerial := identity()
	expired, _ := identity(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	for _, h2 := range []bool{false, true} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, r.TLS.PeerCertificates[0].SerialNumber.String())
			}))
			server.EnableHTTP2 = h2
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.TLS = &tls.Config{Certificates: []tls.Certificate{ca.issue()}, MaxVersion: version, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool()}
			server.StartTLS()
			t.Cleanup(server.Close)
			s := newSender(t, trusting(ca))
			for range 2 {
				for _, tc := range []struct {
					of         *Identity
					body, want string
				}{
					{first, firstSerial, ""},
					{nil, "", "the endpoint wants a client certificate, which the webhook does not have"},
					{second, secondSerial, ""},
					{expired, "", "the endpoint refused the webhook's client certificate, which expired on"},
				} {
					m := message(server.URL)
					m.As(tc.of)
					if r := s.Send(t.Context(), m); r.Body != tc.body || !strings.HasPrefix(r.Failure, tc.want) || (r.Failure == "") != (tc.want == "") {
						t.Errorf("HTTP/2 %t, TLS %x: got %+v, want %+v", h2, version, r, tc)
					}
				}
			}
		}
	}
}

func TestParseCertificates(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	cert, key := pemOf(t, ca.issue())
	_, otherKey := pemOf(t, ca.issue())
	clean, notAfter, err := ParseCertificates("about\n" + cert + "\nabout\n" + cert)
	if err != nil || clean != cert+cert || time.Until(notAfter) > time.Hour || time.Until(notAfter) < 30*time.Minute {
		t.Errorf("got %q, %v, %v", clean, notAfter, err)
	}
	for _, text := range []string{"", "nonsense", key, cert + key, key + cert, strings.Replace(cert, "M", "A", 1)} {
		if clean, _, err := ParseCertificates(text); err == nil {
			t.Errorf("%q is taken for %q", text, clean)
		}
	}
	for _, text := range []string{"", "nonsense", otherKey, cert, key[:100]} {
		if _, err := NewIdentity(cert, text); err == nil || len(text) > 0 && strings.Contains(err.Error(), text) {
			t.Errorf("%q is taken for the key: %v", text, err)
		}
	}
}
