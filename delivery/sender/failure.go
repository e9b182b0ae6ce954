package sender

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxFailure bounds a Response's Failure, in bytes.
const maxFailure = 512

// phase is how far a request got.
type phase int32

const (
	connecting phase = iota // DNS, TCP, a proxy, TLS
	waiting                 // for the response's status and headers
	reading                 // the response's body
)

// failed is the Response of a request that failed. Every Failure is made here: what
// others wrote into it, such as names in a certificate, neither makes it long nor
// has control characters.
func failed(sentence string, cause error) Response {
	sentence = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return utf8.RuneError
		}
		return r
	}, sentence)
	return Response{Failure: shorten(sentence, maxFailure), Cause: cause}
}

// Failed is the Response of a request that was not made, since something before it failed.
func Failed(sentence string, cause error) Response { return failed(sentence, cause) }

// shorten cuts a text to at most limit bytes, between characters, the ellipsis included.
func shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	const ellipsis = "…"
	end := limit - len(ellipsis)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + ellipsis
}

// Interrupted is why a request failed that was broken off.
const Interrupted = "the request was cancelled because this server stopped"

// fail says why a request failed, in which phase.
func (req *request) fail(ctx context.Context, err error, at phase) Response {
	if ctx.Err() != nil {
		return failed(Interrupted, ctx.Err())
	}
	f := failure{
		err: err, at: at, timeout: req.Timeout,
		host: shorten(req.url.Hostname(), maxQuotedHost), address: shorten(req.url.Host, maxQuotedHost),
	}
	r := failed(f.sentence(), err)
	r.TimedOut = timedOut(err)
	return r
}

// maxQuotedHost bounds a URL's host in a sentence, in bytes.
const maxQuotedHost = 128

// failure is a request that failed.
type failure struct {
	err     error
	at      phase
	host    string // of the URL, without the port
	address string // the same with the port, if the URL has one
	timeout time.Duration
}

// sentence tells an admin what went wrong and, where that can be known, what to do.
func (f *failure) sentence() string {
	if timedOut(f.err) {
		return f.timeoutSentence()
	}
	for _, explain := range []func(*failure) string{
		(*failure).explainRefusal, (*failure).explainProxy, (*failure).explainName,
		(*failure).explainTLS, (*failure).explainHTTP, (*failure).explainConnection,
	} {
		if sentence := explain(f); sentence != "" {
			return sentence
		}
	}
	return f.closedSentence()
}

// timedOut says whether a request has used up its time: by its context, or by
// the deadline of its connection.
func timedOut(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
}

func (f *failure) timeoutSentence() string {
	var dns *net.DNSError
	var slow *slowLookupError
	switch {
	case errors.As(f.err, &slow):
		return fmt.Sprintf("the name %s could not be looked up within %s: no DNS server answered", f.host, slow.after)
	case f.at == reading:
		return fmt.Sprintf("no complete response within %s", f.timeout)
	case f.at == waiting:
		return fmt.Sprintf("no complete response within %s: an endpoint should answer first and work afterwards", f.timeout)
	case errors.As(f.err, &dns):
		return fmt.Sprintf("the name %s could not be looked up within %s: no DNS server answered", f.host, f.timeout)
	case f.tls() != nil:
		return fmt.Sprintf("no TLS handshake with %s within %s", f.address, f.timeout)
	}
	return fmt.Sprintf("no connection to %s within %s: the endpoint is down, or a firewall is in the way", f.address, f.timeout)
}

// closedSentence is for connections that ended, and for what nobody has explained.
func (f *failure) closedSentence() string {
	switch e := f.tls(); {
	case e != nil && e.clientCertWanted && e.identity == nil:
		return noClientCert
	case e != nil && e.clientCertWanted && e.identity.hasEnded(): // HTTP/2 may lose what the endpoint said
		return e.identity.refused()
	case f.at == reading:
		return "the connection was closed before the response was complete"
	case f.at == waiting:
		return "the connection was closed before a response came"
	case e != nil:
		return "the connection was closed during the TLS handshake"
	}
	return "no connection to " + f.address + " could be made"
}

func (f *failure) explainRefusal() string {
	var refused *RefusedError
	if errors.As(f.err, &refused) {
		return refused.Error()
	}
	return ""
}

// proxyStatusError says that a proxy did not make a connection.
type proxyStatusError struct{ status int }

func (e *proxyStatusError) Error() string { return "the configured proxy " + answered(e.status) }

// explainProxy says less than it could: an admin of webhooks need not know where
// the proxy is.
func (f *failure) explainProxy() string {
	var refused *proxyStatusError
	var op *net.OpError
	switch {
	case errors.As(f.err, &refused):
		return refused.Error()
	case errors.As(f.err, &op) && op.Op == "proxyconnect":
		return "the configured proxy could not be reached"
	case errors.As(f.err, &op) && op.Op == "socks connect":
		return "the configured proxy could not connect to " + f.host
	case f.at == connecting && f.tls() == nil && isClosed(f.err):
		return "the configured proxy closed the connection"
	}
	return ""
}

// isClosed says whether the other side has closed a connection.
func isClosed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

func (f *failure) explainName() string {
	var dns *net.DNSError
	switch {
	case !errors.As(f.err, &dns):
		return ""
	case dns.IsNotFound:
		return "the name " + f.host + " has no address: check the host in the webhook's URL, or DNS"
	case strings.Contains(dns.Err, "server misbehaving"):
		return "the name " + f.host + " could not be looked up: the DNS server failed"
	}
	return "the name " + f.host + " could not be looked up: no DNS server answered"
}

// notHTTP is in what net/http says of responses that break the protocol, over
// HTTP/1 and HTTP/2: these errors have no types.
var notHTTP = []string{
	"malformed HTTP", "malformed MIME", "malformed response",
	"Content-Length", "unsupported transfer encoding", "too many transfer encodings",
	"chunk", "header line too long", "trailer",
	"http2: frame too large", "failed reading the frame payload", "connection error: ",
}

func (f *failure) explainHTTP() string {
	var long *longBodyError
	if errors.As(f.err, &long) {
		return long.Error() + ": an endpoint should answer with little or nothing"
	}
	text := f.err.Error()
	says := func(part string) bool { return strings.Contains(text, part) }
	switch {
	case says(`malformed HTTP response "\x15\x03`): // the first bytes of an alert
		return "the endpoint speaks TLS: the webhook's URL should begin with https://"
	case says("response headers exceeded"), says("header list"):
		return fmt.Sprintf("the response headers are longer than %d KiB", maxResponseHeader>>10)
	case slices.ContainsFunc(notHTTP, says) && f.at == connecting:
		return "the configured proxy's response is not valid HTTP"
	case slices.ContainsFunc(notHTTP, says):
		return "the endpoint's response is not valid HTTP"
	}
	return ""
}

// explainConnection names the endpoint as the webhook's URL does: the address that its name
// led to may be an inside one.
func (f *failure) explainConnection() string {
	switch {
	case errors.Is(f.err, syscall.ECONNREFUSED):
		return "connection refused by " + f.address + ": nothing listens there, or a firewall is in the way"
	case errors.Is(f.err, syscall.ENETUNREACH), errors.Is(f.err, syscall.EHOSTUNREACH):
		return "there is no route to " + f.host
	case errors.Is(f.err, syscall.ETIMEDOUT):
		return "no connection: " + f.host + " does not answer"
	case errors.Is(f.err, syscall.EADDRNOTAVAIL), errors.Is(f.err, syscall.EMFILE), errors.Is(f.err, syscall.ENFILE):
		return "this server has no sockets left for another connection: raise its limit of open files, or lower concurrency"
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
