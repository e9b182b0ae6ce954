package sender

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
)

// phase is how far a request got.
type phase int32

const (
	connecting  phase = iota // DNS, TCP, a proxy
	handshaking              // TLS
	waiting                  // for the response
	reading                  // the response's body
)

// explain makes of an error of the network one sentence that tells an admin what
// to mend.
func explain(err error, u *url.URL, timeout time.Duration, at phase) Response {
	r := Response{Cause: err}
	if timedOut(err) {
		r.TimedOut = true
		r.Failure = timeoutFailure(u, timeout, at)
		return r
	}
	for _, sentence := range []func(error, string) string{
		explainAddress, explainProxy, explainName, explainTLS, explainHTTP, explainConnection,
	} {
		if r.Failure = sentence(err, u.Hostname()); r.Failure != "" {
			return r
		}
	}
	r.Failure = closedFailure(at)
	return r
}

// timedOut says whether a request has used up its time: by its context, or by
// the deadline of its connection.
func timedOut(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
}

// timeoutFailure is the sentence for a timeout.
func timeoutFailure(u *url.URL, timeout time.Duration, at phase) string {
	switch at {
	case connecting:
		return fmt.Sprintf("no connection to %s within %s", u.Host, timeout)
	case handshaking:
		return fmt.Sprintf("no TLS handshake with %s within %s", u.Host, timeout)
	default:
		return fmt.Sprintf("no complete response within %s", timeout)
	}
}

// closedFailure is the sentence for a connection that ended.
func closedFailure(at phase) string {
	switch at {
	case connecting:
		return "the connection was closed before it was complete"
	case handshaking:
		return "the connection was closed during the TLS handshake"
	case reading:
		return "the connection was closed before the response was complete"
	default:
		return "the connection was closed before a response came"
	}
}

func explainAddress(err error, _ string) string {
	var forbidden *ForbiddenAddressError
	if errors.As(err, &forbidden) {
		return forbidden.Error()
	}
	return ""
}

// proxyStatusError says that a proxy did not make a connection.
type proxyStatusError struct{ status int }

func (e *proxyStatusError) Error() string {
	return "the proxy of the configuration " + answered(e.status)
}

// explainProxy says less than it could: an admin of webhooks need not know where
// the proxy is.
func explainProxy(err error, host string) string {
	var refused *proxyStatusError
	var op *net.OpError
	switch {
	case errors.As(err, &refused):
		return refused.Error()
	case !errors.As(err, &op):
		return ""
	case op.Op == "proxyconnect":
		return "the proxy of the configuration could not be reached"
	case op.Op == "socks connect":
		return "the proxy of the configuration could not connect to " + host
	}
	return ""
}

func explainName(err error, host string) string {
	var dns *net.DNSError
	if !errors.As(err, &dns) {
		return ""
	}
	name := dns.Name
	if name == "" {
		name = host
	}
	switch {
	case dns.IsNotFound:
		return fmt.Sprintf("the name %s has no address", name)
	case strings.Contains(dns.Err, "server misbehaving"):
		return fmt.Sprintf("the name %s could not be looked up: the DNS server failed", name)
	}
	return fmt.Sprintf("the name %s could not be looked up: no DNS server answered", name)
}

func explainTLS(err error, host string) string {
	var (
		name         x509.HostnameError
		issuer       x509.UnknownAuthorityError
		invalid      x509.CertificateInvalidError
		verification *tls.CertificateVerificationError
		record       tls.RecordHeaderError
		op           *net.OpError
	)
	switch {
	case errors.As(err, &name):
		return fmt.Sprintf("the TLS certificate is for %s, not %s", certificateNames(name.Certificate), host)
	case errors.As(err, &issuer):
		return "the TLS certificate is signed by an authority that is not trusted"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		if now := time.Now(); now.Before(invalid.Cert.NotBefore) {
			return "the TLS certificate is not valid before " + invalid.Cert.NotBefore.UTC().Format(time.RFC3339)
		}
		return "the TLS certificate expired on " + invalid.Cert.NotAfter.UTC().Format(time.RFC3339)
	case errors.As(err, &invalid):
		return "the TLS certificate is not valid for a server"
	case errors.As(err, &verification):
		return "the TLS certificate could not be verified"
	case errors.As(err, &record) && string(record.RecordHeader[:]) == "HTTP/":
		return "the endpoint answered in plain HTTP, without TLS"
	case errors.As(err, &record):
		return "the endpoint does not speak TLS"
	case errors.As(err, &op) && op.Op == "remote error": // an alert
		return "the endpoint refused the TLS connection: " + strings.TrimPrefix(op.Err.Error(), "tls: ")
	}
	// What the client itself finds wrong has no type.
	if reason, ok := strings.CutPrefix(err.Error(), "tls: "); ok {
		return "no TLS connection: " + reason
	}
	return ""
}

// certificateNames lists what a certificate is for, the first few.
func certificateNames(cert *x509.Certificate) string {
	const most = 3
	names := append([]string(nil), cert.DNSNames...)
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	switch {
	case len(names) == 0:
		return "no host name"
	case len(names) > most:
		return strings.Join(names[:most], ", ") + " and others"
	}
	return strings.Join(names, ", ")
}

// notHTTP is in what net/http says of answers that break the protocol, over
// HTTP/1 and HTTP/2: these errors have no types.
var notHTTP = []string{
	"malformed HTTP", "malformed MIME", "malformed response",
	"Content-Length", "unsupported transfer encoding", "too many transfer encodings",
	"chunk", "header line too long", "trailer",
	"http2: frame too large", "failed reading the frame payload", "connection error: ",
}

func explainHTTP(err error, _ string) string {
	text := err.Error()
	says := func(part string) bool { return strings.Contains(text, part) }
	switch {
	case says(`malformed HTTP response "\x15\x03`): // the first bytes of an alert
		return "the endpoint speaks TLS: its URL should begin with https://"
	case says("response headers exceeded"), says("header list"):
		return fmt.Sprintf("the response's headers are longer than %d KiB", maxResponseHeader>>10)
	case slices.ContainsFunc(notHTTP, says):
		return "the endpoint's answer is not valid HTTP"
	}
	return ""
}

func explainConnection(err error, host string) string {
	peer := host
	var op *net.OpError
	if errors.As(err, &op) && op.Addr != nil {
		peer = op.Addr.String()
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused by " + peer
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return "there is no route to " + peer
	case errors.Is(err, syscall.ETIMEDOUT):
		return "no connection: " + peer + " does not answer"
	case errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "this server has no sockets left for another connection"
	}
	return ""
}

// StatusFailure is the sentence for a whole response that is no success.
func StatusFailure(code int) string {
	if code/100 == 3 {
		return "the endpoint " + answered(code) + "; redirects are not followed"
	}
	return "the endpoint " + answered(code)
}

func answered(code int) string {
	if text := http.StatusText(code); text != "" {
		return fmt.Sprintf("answered %d %s", code, text)
	}
	return fmt.Sprintf("answered %d", code)
}
