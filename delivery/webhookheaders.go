package delivery

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// Limits of the texts by name that a webhook has: its headers, and its metadata.
const (
	MaxTexts     = 20
	MaxTextsSize = 4096 // of all names and texts together, in bytes
)

// InvalidWebhookError says which member of a webhook is not valid, in a sentence for whoever
// changed it, where only the whole webhook shows it.
type InvalidWebhookError struct{ Member, Reason string }

func (e *InvalidWebhookError) Error() string { return e.Member + ": " + e.Reason }

// Check finds what only the whole webhook shows: a change may add to what there is. What it
// finds is an InvalidWebhookError.
func (w *Webhook) Check() error {
	if reason := checkTexts(w.Headers); reason != "" {
		return &InvalidWebhookError{"headers", reason}
	}
	if reason := checkTexts(w.Metadata); reason != "" {
		return &InvalidWebhookError{"metadata", reason}
	}
	byName := make(map[string]string, len(w.Headers))
	for _, name := range slices.Sorted(maps.Keys(w.Headers)) {
		lower := strings.ToLower(name)
		if other, ok := byName[lower]; ok {
			return &InvalidWebhookError{"headers", fmt.Sprintf("%s and %s are the same header: remove one of them", other, name)}
		}
		byName[lower] = name
	}
	if w.Authorization != nil {
		if name, ok := byName[strings.ToLower(w.Authorization.header())]; ok {
			return &InvalidWebhookError{"authorization", fmt.Sprintf("%s is among headers, too: remove it there", name)}
		}
	}
	return nil
}

func checkTexts(texts map[string]string) (reason string) {
	size := 0
	for name, text := range texts {
		size += len(name) + len(text)
	}
	switch {
	case len(texts) > MaxTexts:
		return fmt.Sprintf("there may be %d of these, and there would be %d", MaxTexts, len(texts))
	case size > MaxTextsSize:
		return fmt.Sprintf("names and texts may have %d bytes in all, and would have %d", MaxTextsSize, size)
	}
	return ""
}

// ownHeaders are headers that only the sender sets, since they say what it sends and how, in
// lower case. So are those that begin with one of ownPrefixes.
var (
	ownHeaders = []string{
		"host", "user-agent", "authorization",
		"connection", "keep-alive", "te", "trailer", "upgrade", "transfer-encoding", "expect", "http2-settings",
	}
	ownPrefixes = []string{"content-", "proxy-", "webhook-"}
)

// previousSuffix makes, of the name of the signature's header, that of the header with the
// signature by the secret before.
const previousSuffix = "-previous"

// CheckHeaderName says, in a sentence for whoever typed it, why requests must not have a header
// of this name from a webhook.
func (s *Settings) CheckHeaderName(name string) error {
	lower := strings.ToLower(name)
	switch {
	case !httpguts.ValidHeaderFieldName(name):
		return errors.New("this is not the name of a header: use letters, digits and hyphens")
	case lower == "authorization":
		return errors.New("this header is for credentials, which headers are not")
	case s.isForSignatures(name):
		return errors.New("this header is for signatures: choose another name")
	case isOwn(lower):
		return errors.New("this header is set by the sender of requests: choose another name")
	}
	return nil
}

// isOwn says whether only the sender sets a header, whose name is in lower case.
func isOwn(lower string) bool {
	return slices.Contains(ownHeaders, lower) ||
		slices.ContainsFunc(ownPrefixes, func(prefix string) bool { return strings.HasPrefix(lower, prefix) })
}

// canBeForSignatures says whether a header can have the signature, and nothing else has it.
func canBeForSignatures(name string) bool {
	return httpguts.ValidHeaderFieldName(name) && !isOwn(strings.ToLower(name))
}

// CheckCredentialHeader does the same for a header that has a credential.
func (s *Settings) CheckCredentialHeader(name string) error {
	if strings.EqualFold(name, authorizationHeader) {
		return nil
	}
	return s.CheckHeaderName(name)
}

// isForSignatures reports whether a header is for signatures, or is kept for those.
func (s *Settings) isForSignatures(name string) bool {
	name, signature := strings.ToLower(name), strings.ToLower(s.SignatureHeader)
	return name == signature || name == signature+previousSuffix || strings.HasPrefix(name, "webhook-")
}

// CheckHeaderValue does the same for a value.
func CheckHeaderValue(value string) error {
	switch {
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return errors.New("a header must not contain a line break or another control character")
	case value != strings.TrimSpace(value):
		return errors.New("a header must not begin or end with white space: remove it")
	}
	return nil
}

// sentHeaders are those of a webhook's headers that are sent: signature_header may have got the
// name of one since it was set.
func (s *Settings) sentHeaders(w *Webhook) http.Header {
	sent := make(http.Header, len(w.Headers)+1)
	for name, value := range w.Headers {
		if s.CheckHeaderName(name) == nil {
			sent[name] = []string{value}
		}
	}
	return sent
}

// shownHeaders are what is shown of the headers that a webhook's requests have because it has them.
func (s *Settings) shownHeaders(w *Webhook) http.Header {
	shown := s.sentHeaders(w)
	s.authorize(shown, w.Authorization, masked)
	return shown
}
