package api

import (
	"errors"
	"strings"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// maxFieldErrors is how many mistakes of one body are named: a thousand events
// may all have the same.
const maxFieldErrors = 20

// fieldErrors gathers what is wrong with a body.
type fieldErrors struct {
	prefix string // of the fields' paths
	errs   []fieldError
}

func (f *fieldErrors) add(field, detail string) {
	if len(f.errs) < maxFieldErrors {
		f.errs = append(f.errs, fieldError{Field: f.prefix + field, Detail: detail})
	}
}

// full says that no more mistakes are named.
func (f *fieldErrors) full() bool { return len(f.errs) == maxFieldErrors }

// check notes an error, if it is one, as a sentence.
func (f *fieldErrors) check(field string, err error) {
	if err != nil {
		f.add(field, sentence(err))
	}
}

// required says whether a member is there to be checked, and notes if not.
func (f *fieldErrors) required(field string, set, null bool) bool {
	if !set {
		f.add(field, "This member is required.")
		return false
	}
	return f.given(field, set, null)
}

// given says whether a member that may be left out is there to be checked, and
// notes if it is null.
func (f *fieldErrors) given(field string, set, null bool) bool {
	if null {
		f.add(field, "This must not be null.")
		return false
	}
	return set
}

// problem has what was gathered, nil if that is nothing.
func (f *fieldErrors) problem() error {
	if len(f.errs) == 0 {
		return nil
	}
	return invalid(f.errs...)
}

// sentence begins with a capital and ends with a full stop.
func sentence(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

// notFound names what is not there, if that is the error.
func notFound(err error, what string) error {
	if errors.Is(err, delivery.ErrNotFound) {
		return missing(what)
	}
	return err
}
