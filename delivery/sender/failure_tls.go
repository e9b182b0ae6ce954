package sender

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"strings"
	"time"
)

// tlsError is an error of a connection with TLS, and what explains it.
type tlsError struct {
	err error
	// ownCAs says that the configuration names the authorities to trust.
	ownCAs bool
	// clientCertWanted says that the endpoint asked for a client certificate.
	clientCertWanted bool
	// identity is what it was given then, nil if there is none.
	identity *Identity
}

func (e *tlsError) Error() string { return e.err.Error() }
func (e *tlsError) Unwrap() error { return e.err }

// tls returns what is known of the connection's TLS, nil if it had none.
func (f *failure) tls() *tlsError {
	var e *tlsError
	errors.As(f.err, &e)
	return e
}

func (f *failure) explainTLS() string {
	var (
		verification *tls.CertificateVerificationError
		roots        x509.SystemRootsError
		record       tls.RecordHeaderError
		op           *net.OpError
	)
	switch {
	case errors.As(f.err, &roots):
		return noAuthorities
	case errors.As(f.err, &verification):
		return f.explainCertificate(verification)
	case errors.As(f.err, &record) && string(record.RecordHeader[:]) == "HTTP/":
		return "the endpoint answered in plain HTTP, without TLS: check the port in the webhook's URL"
	case errors.As(f.err, &record):
		return "the endpoint does not speak TLS: check the port in the webhook's URL"
	case errors.As(f.err, &op) && op.Op == "remote error":
		return f.explainAlert(strings.TrimPrefix(op.Err.Error(), "tls: "))
	}
	// What the client itself finds wrong has no type.
	reason, ok := strings.CutPrefix(f.err.Error(), "tls: ")
	switch {
	case !ok:
		return ""
	case strings.HasPrefix(reason, "server selected unsupported protocol version"):
		return oldTLS
	}
	return "no TLS connection: " + reason
}

const (
	noAuthorities = "this server has no certificates of authorities to trust: install the package ca-certificates, or set trusted_ca"
	oldTLS        = "the endpoint supports neither TLS 1.2 nor TLS 1.3"
	noClientCert  = "the endpoint wants a client certificate, which the webhook does not have: add one as its client_certificate"
)

// explainAlert explains an alert, by which the endpoint ended the connection.
func (f *failure) explainAlert(alert string) string {
	switch e := f.tls(); {
	case e != nil && e.clientCertWanted && e.identity != nil:
		return e.identity.refused() + " (" + alert + ")"
	case e != nil && e.clientCertWanted:
		return noClientCert
	case alert == "protocol version not supported":
		return oldTLS
	case alert == "no application protocol":
		return "the endpoint speaks neither HTTP/1.1 nor HTTP/2 over TLS"
	case alert == "unrecognized name", alert == "internal error": // servers send either
		return "the endpoint refused the TLS connection (" + alert + "): it may have no certificate for " + f.host
	}
	return "the endpoint refused the TLS connection: " + alert
}

// explainCertificate says why the endpoint's certificate was not accepted.
func (f *failure) explainCertificate(err *tls.CertificateVerificationError) string {
	var (
		name    x509.HostnameError
		issuer  x509.UnknownAuthorityError
		invalid x509.CertificateInvalidError
	)
	chain := err.UnverifiedCertificates
	switch {
	case errors.As(err, &name):
		return "the TLS certificate is for " + certificateNames(name.Certificate) + ", not " + f.host + ": change the webhook's URL, or the certificate"
	case errors.As(err, &issuer):
		return f.explainIssuer(chain)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return explainTime(invalid.Cert, chain)
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return "the TLS certificate is not one for servers"
	}
	return "the TLS certificate, or one of its authorities, is not valid"
}

// explainIssuer says why nobody vouches for the first certificate of a chain.
func (f *failure) explainIssuer(chain []*x509.Certificate) string {
	e := f.tls()
	ownCAs := e != nil && e.ownCAs
	if !ownCAs && !hasSystemRoots() {
		return noAuthorities
	}
	leaf := chain[0]
	switch {
	case isSelfSigned(leaf):
		return "the TLS certificate is self-signed and not trusted: get one from an authority, or add this one to trusted_ca"
	case len(chain) == 1 && len(leaf.IssuingCertificateURL) > 0: // as public authorities have it
		return "the endpoint does not send the intermediate certificate that its TLS certificate needs: install the full chain there"
	}
	sentence := "the TLS certificate is signed by an authority that is not trusted: if it is your own, add it to trusted_ca"
	if ownCAs {
		sentence = "the TLS certificate is signed by an authority that is not trusted, since trusted_ca does not have it: add it there"
	}
	if len(chain) == 1 {
		sentence += "; if it is an intermediate one, the endpoint must send its certificate"
	}
	return sentence
}

func isSelfSigned(cert *x509.Certificate) bool {
	return bytes.Equal(cert.RawSubject, cert.RawIssuer) &&
		cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature) == nil
}

// hasSystemRoots says whether the system has authorities, as far as they can be known.
func hasSystemRoots() bool {
	pool, err := x509.SystemCertPool()
	return err == nil && !pool.Equal(x509.NewCertPool())
}

// explainTime says when a certificate is valid that is not now.
func explainTime(cert *x509.Certificate, chain []*x509.Certificate) string {
	which := "the TLS certificate"
	if !cert.Equal(chain[0]) {
		which = "the certificate of an authority, on which the TLS certificate relies,"
	}
	if time.Now().Before(cert.NotBefore) {
		return which + " is not valid before " + cert.NotBefore.UTC().Format(time.RFC3339) + ": check the clocks of both servers"
	}
	return which + " expired on " + cert.NotAfter.UTC().Format(time.RFC3339) + ": renew it"
}

// Of a certificate, a sentence quotes only what is a host name or an address, and
// little of it: it may say anything.
const (
	maxCertNames     = 3
	maxCertNameBytes = 100 // of one
)

// certificateNames lists what a certificate is for, the first few. Addresses that are not
// public are none of a stranger's business.
func certificateNames(cert *x509.Certificate) string {
	var names []string
	for _, name := range cert.DNSNames {
		if len(names) == maxCertNames {
			break
		}
		if name = strings.ToLower(name); isCertName(name) {
			names = append(names, name)
		}
	}
	for _, ip := range cert.IPAddresses {
		if len(names) == maxCertNames {
			break
		}
		if addr, ok := netip.AddrFromSlice(ip); ok && isPublic(addr.Unmap()) {
			names = append(names, addr.Unmap().String())
		}
	}
	all := len(cert.DNSNames) + len(cert.IPAddresses)
	switch {
	case all == 0:
		return "no host name"
	case len(names) == 0:
		return "other names"
	case len(names) < all:
		return strings.Join(names, ", ") + " and others"
	}
	return strings.Join(names, ", ")
}

func isCertName(name string) bool {
	if len(name) > maxCertNameBytes {
		return false
	}
	name = strings.TrimPrefix(name, "*.")
	for i := range len(name) {
		if !isHostNameByte(name[i]) {
			return false
		}
	}
	return name != ""
}
