package caddymodule

import (
	"strings"
	"testing"
)

func TestSignatureHeader(t *testing.T) {
	for _, name := range strings.Fields(`
		Accept Accept-Encoding Access-Control-Request-Method Authorization Cache-Control Connection Content-Digest
		Content-Length Content-Type Cookie Date DPoP Early-Data Expect Forwarded From Host If-Match If-None-Match
		Keep-Alive Last-Event-ID Max-Forwards MIME-Version Origin Pragma Prefer Priority Proxy-Authorization
		Proxy-Connection Range Referer Sec-Fetch-Site Signature Signature-Input TE Traceparent Trailer
		Transfer-Encoding Upgrade User-Agent Via Want-Repr-Digest Warning webhook-id webhook-signature
		webhook-timestamp X-Forwarded-For X-Forwarded-User X-HTTP-Method-Override X-Real-IP X-Request-ID
	`) {
		for _, name := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
			_, err := adapt(global("signature_header " + name))
			if err == nil || !strings.Contains(err.Error(), "signature_header must not be "+name) || !strings.Contains(err.Error(), "at Caddyfile:3") {
				t.Errorf("%s: got %v", name, err)
			}
			if err := checkSignatureHeader(name); err == nil {
				t.Errorf("%s was taken", name)
			}
		}
	}
	for _, name := range []string{`""`, `"a b"`, `"a:b"`, `"ä"`, `"a	b"`, "(x)"} {
		if _, err := adapt(global("signature_header " + name)); err == nil || !strings.Contains(err.Error(), "at Caddyfile:3") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for _, name := range strings.Fields("X-Level-Signature X-Hub-Signature-256 Stripe-Signature Svix-Signature Acme-Signature Contentful-Signature Iffy") {
		if _, err := adapt(global("signature_header " + name)); err != nil {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
