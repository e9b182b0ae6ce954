package delivery

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/encryption"
)

// Reason is an error, of a Store or the engine, that every admin may be told: it has no
// address, path, key or name of the operator's, nor words of another program. Whatever else
// is in an error is for the log.
type Reason string //nolint:errname // errors are made of them

func (r Reason) Error() string { return string(r) }

// Reasons returns what admins may be told of an error: the reasons in it, from the outermost
// to the innermost. It is "" if there are none.
func Reasons(err error) string {
	var text string
	for i, reason := range appendReasons(nil, err) {
		if i > 0 && !strings.HasPrefix(reason, "(") {
			text += ":"
		}
		text += " " + reason
	}
	return strings.TrimSpace(text)
}

// appendReasons appends the reasons in an error, each once.
func appendReasons(told []string, err error) []string {
	if reason := reasonOf(err); reason != "" {
		if slices.Contains(told, reason) {
			return told
		}
		return append(told, reason)
	}
	switch e := err.(type) { //nolint:errorlint // it goes down the chain itself
	case interface{ Unwrap() error }:
		return appendReasons(told, e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			told = appendReasons(told, inner)
		}
	}
	return told
}

// reasonOf returns the reason that an error itself is, if it is one. Of errors of the system
// it has the words for what is wrong: what stands around them has addresses and paths.
func reasonOf(err error) string {
	switch err {
	case nil:
		return ""
	case context.DeadlineExceeded, os.ErrDeadlineExceeded: //nolint:errorlint // what is in it is not meant
		return "it takes too long"
	case io.EOF, io.ErrUnexpectedEOF:
		return "it closed the connection"
	}
	switch e := err.(type) { //nolint:errorlint // as above
	case Reason:
		return string(e)
	case syscall.Errno:
		return e.Error()
	case *encryption.MissingKeyError:
		return e.Error()
	case *tls.CertificateVerificationError:
		return "its certificate is not trusted"
	case *net.DNSError:
		return "its name has no address, or cannot be looked up"
	}
	return ""
}
