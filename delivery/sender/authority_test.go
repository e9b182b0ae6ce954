package sender

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"testing"
	"time"
)

// authority issues certificates.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// newAuthority makes a root.
func newAuthority(t testing.TB) *authority {
	t.Helper()
	return (&authority{t: t}).subordinate()
}

// subordinate makes an authority that this one vouches for.
func (a *authority) subordinate(change ...func(*x509.Certificate)) *authority {
	a.t.Helper()
	serial := big.NewInt(time.Now().UnixNano())
	cert := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: a.t.Name() + serial.String()},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	for _, c := range change {
		c(cert)
	}
	der, key := a.sign(cert)
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return &authority{t: a.t, cert: cert, key: key}
}

// pool is what trusts the authority.
func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// issue makes a certificate for localhost and 127.0.0.1, unless changed.
func (a *authority) issue(change ...func(*x509.Certificate)) tls.Certificate {
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{{127, 0, 0, 1}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, c := range change {
		c(cert)
	}
	der, key := a.sign(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// chained appends the authority's own certificate to one that it issued, or that of
// one below it.
func (a *authority) chained(cert tls.Certificate) tls.Certificate {
	cert.Certificate = append(cert.Certificate, a.cert.Raw)
	return cert
}

func (a *authority) sign(cert *x509.Certificate) (der []byte, key *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	issuer, signer := a.cert, a.key
	if issuer == nil { // it signs itself
		issuer, signer = cert, key
	}
	if der, err = x509.CreateCertificate(rand.Reader, cert, issuer, key.Public(), signer); err != nil {
		a.t.Fatal(err)
	}
	return der, key
}
