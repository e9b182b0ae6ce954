package delivery

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"unicode"

	"github.com/google/uuid"
	"go.uber.org/zap"
)

// standardPrefix marks a secret in the form of Standard Webhooks: base64 follows.
const standardPrefix = "whsec_"

// minStandardKey is how many bytes Standard Webhooks wants a key to have.
const minStandardKey = 24

// CheckSecret says, in a sentence for whoever typed it, why no receiver can verify what
// a secret signs, whether requests carry the signature of Standard Webhooks now or will
// one day.
func CheckSecret(secret string) error {
	switch {
	case secret != strings.TrimSpace(secret):
		return errors.New("the secret must not begin or end with white space: remove it")
	case strings.HasPrefix(secret, "v1,"+standardPrefix):
		return errors.New("the secret must begin with whsec_: remove the \"v1,\" before it")
	case strings.HasPrefix(secret, standardPrefix) && !isStandardSecret(secret):
		return errors.New("after whsec_ the secret must be padded base64 of the standard alphabet, such as \"openssl rand -base64 32\" prints")
	}
	return nil
}

// SecretWarning says what may be a mistake about a secret, "" for nothing. What is one
// depends on whether requests carry the signature of Standard Webhooks.
func SecretWarning(secret string, standard bool) string {
	if secret == "" {
		return ""
	}
	if err := CheckSecret(secret); err != nil { // of a secret that was stored before it was checked
		return "Receivers that use Standard Webhooks refuse all requests: " + err.Error() + "."
	}
	lower := strings.ToLower(secret)
	switch {
	case isStandardSecret(secret):
		if n := len(standardKey(secret)); n < minStandardKey {
			return fmt.Sprintf("The secret is short: Standard Webhooks wants at least %d bytes after whsec_, and this has %d.", minStandardKey, n)
		}
	case strings.ContainsFunc(secret, func(r rune) bool { return unicode.IsSpace(r) && r != ' ' || unicode.IsControl(r) }):
		return "The secret contains a line break, a tab or a control character: check that it was copied correctly."
	case strings.ContainsAny(secret[:1], "\"'`"):
		return "The secret begins with a quotation mark, which is taken as a part of it: check that it was copied correctly."
	case strings.HasPrefix(lower, "whsec"), strings.HasPrefix(lower, "whsk_"), strings.HasPrefix(lower, "whpk_"):
		return "The secret looks like one of Standard Webhooks, but does not begin with whsec_, so its whole text is the key: check that it was copied correctly."
	case standard:
		return "The secret does not begin with whsec_, so its whole text is the key. Libraries for Standard Webhooks decode it as base64 and refuse all requests: " +
			"use whsec_ followed by base64, unless the receiver verifies with the text itself."
	}
	return ""
}

// isStandardSecret says whether a secret has the form of Standard Webhooks. It does not
// allocate, since it is called for each request.
func isStandardSecret(secret string) bool {
	encoded, ok := strings.CutPrefix(secret, standardPrefix)
	digits := strings.TrimRight(encoded, "=")
	if !ok || digits == "" || len(encoded)%4 != 0 || len(encoded)-len(digits) > 2 {
		return false
	}
	for i := range len(digits) {
		c := digits[i]
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '+' && c != '/' {
			return false
		}
	}
	return true
}

// standardKey is the key of the signature of Standard Webhooks: what a secret in that
// form encodes, and the text of any other.
func standardKey(secret string) []byte {
	if encoded, ok := strings.CutPrefix(secret, standardPrefix); ok {
		if key, err := base64.StdEncoding.DecodeString(encoded); err == nil && len(key) > 0 {
			return key
		}
	}
	return []byte(secret)
}

// warnOfSecret logs what may be a mistake about the secret of a webhook that was just
// created or given a new one.
func (e *Engine) warnOfSecret(w *Webhook) {
	if warning := SecretWarning(w.Secret, e.settings().StandardWebhooks); warning != "" {
		logSecretWarning(e.log(), w, warning)
	}
}

func logSecretWarning(log *zap.Logger, w *Webhook, warning string) {
	log.Warn("the secret of a webhook may be a mistake",
		zap.String("tenant", w.Tenant), zap.Stringer("webhook_id", w.ID), zap.String("warning", warning))
}

// maxWarned is how many webhooks secretWarnings remembers. Beyond that it drops them all.
const maxWarned = 100_000

// secretWarnings are the webhooks whose secrets were warned of.
type secretWarnings struct {
	mu     sync.Mutex
	warned map[uuid.UUID]bool
}

// warn logs, once for each webhook that it remembers, that receivers may not be able to
// verify the signature of Standard Webhooks.
func (s *secretWarnings) warn(w *Webhook, log *zap.Logger) {
	if w.Secret == "" || isStandardSecret(w.Secret) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.warned[w.ID] {
		return
	}
	if s.warned == nil || len(s.warned) >= maxWarned {
		s.warned = make(map[uuid.UUID]bool)
	}
	s.warned[w.ID] = true
	logSecretWarning(log, w, SecretWarning(w.Secret, true))
}
