package sender

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"time"
)

// Identity is a client certificate, with its key, by which requests tell the endpoint in TLS who
// sends them. Requests with different identities share no connection and no session.
type Identity struct {
	cert     tls.Certificate
	sessions tls.ClientSessionCache
}

// sessionsPerIdentity is how many sessions of TLS are kept for one identity.
const sessionsPerIdentity = 4

// NewIdentity makes an Identity of a certificate, or a chain, and its key, both PEM. Its errors
// quote nothing.
func NewIdentity(certificate, key string) (*Identity, error) {
	cert, err := tls.X509KeyPair([]byte(certificate), []byte(key))
	if err != nil {
		return nil, errors.New("this must be the key of the certificate: one that is PEM, and not encrypted")
	}
	return &Identity{cert: cert, sessions: tls.NewLRUClientSessionCache(sessionsPerIdentity)}, nil
}

// ParseCertificates parses a certificate, or a chain with the certificate of the client first, and
// returns when that ends, and all of them without what else is in the text. That may not be a key.
func ParseCertificates(text string) (clean string, notAfter time.Time, err error) {
	rest := []byte(text)
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return "", notAfter, errors.New("this must have certificates alone: a key belongs into private_key")
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return "", notAfter, errors.New("this has a certificate that cannot be read")
		}
		if clean == "" {
			notAfter = cert.NotAfter
		}
		clean += string(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes}))
	}
	if clean == "" {
		return "", notAfter, errors.New("this must be a certificate in PEM, beginning with -----BEGIN CERTIFICATE-----")
	}
	return clean, notAfter, nil
}

// As makes the requests of a target those of somebody. It is called before the target is used.
func (t *Target) As(identity *Identity) *Target {
	t.identity = identity
	return t
}

func (i *Identity) hasEnded() bool { return time.Now().After(i.cert.Leaf.NotAfter) }

// refused says that the endpoint did not take the certificate.
func (i *Identity) refused() string {
	if i.hasEnded() {
		return "the endpoint refused the webhook's client certificate, which expired on " + i.cert.Leaf.NotAfter.UTC().Format(time.RFC3339) + ": replace it"
	}
	return "the endpoint refused the webhook's client certificate"
}
