package verify

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// scheme is a way to sign requests. All sign by HMAC-SHA256, and end with the body.
type scheme struct {
	name string
	// timed says that the time of a request is signed.
	timed bool
	// key is the key that a secret means.
	key func(secret string) ([]byte, error)
	// read reads the headers.
	read func(headers) (*Head, error)
}

var schemes = byName(
	&scheme{name: "level", key: wholeText, read: readLevel},
	&scheme{name: "standard", timed: true, key: standardKey, read: readStandard},
	&scheme{name: "github", key: wholeText, read: readGitHub},
	&scheme{name: "stripe", timed: true, key: wholeText, read: readStripe},
	&scheme{name: "slack", timed: true, key: wholeText, read: readSlack},
)

func byName(all ...*scheme) map[string]*scheme {
	named := make(map[string]*scheme, len(all))
	for _, s := range all {
		named[s.name] = s
	}
	return named
}

// Schemes lists the names of the schemes, sorted.
func Schemes() []string { return slices.Sorted(maps.Keys(schemes)) }

// SignsTime reports whether a scheme signs the time of a request.
func SignsTime(scheme string) bool { return schemes[scheme] != nil && schemes[scheme].timed }

func wholeText(secret string) ([]byte, error) {
	if secret == "" {
		return nil, errNoSecret
	}
	return []byte(secret), nil
}

const standardPrefix = "whsec_"

// standardKey decodes a secret of Standard Webhooks, and takes any other as it is.
func standardKey(secret string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(secret, standardPrefix)
	if !ok {
		return wholeText(secret)
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(key) == 0 {
		return nil, errors.New("must be padded base64 of the standard alphabet after whsec_")
	}
	return key, nil
}

// headers are those of a request. Their names are given in the canonical form of net/http.
type headers struct{ all http.Header }

// one reads a header that must be there once. What comes after must not take another one for it.
func (h headers) one(name string) (string, error) {
	value, err := h.atMostOne(name)
	if err == nil && value == "" {
		err = ErrUnsigned
	}
	return value, err
}

// atMostOne reads a header that may be missing, or "".
func (h headers) atMostOne(name string) (string, error) {
	switch values := h.all[name]; len(values) {
	case 0:
		return "", nil
	case 1:
		return values[0], nil
	default:
		return "", ErrMalformed
	}
}

// signatures are those of a request, one of which must be right. What cannot be read as one is
// passed over, as the senders' own libraries do: it may be of a kind that they add one day.
type signatures [][]byte

// hex adds a signature that is a prefix and hex.
func (s *signatures) hex(text, prefix string) {
	if digits, ok := strings.CutPrefix(text, prefix); ok {
		s.add(hex.DecodeString(digits))
	}
}

// add adds a signature that was decoded. One more than there may be is enough to see that.
func (s *signatures) add(sum []byte, err error) {
	if err == nil && len(sum) == sha256.Size && len(*s) <= maxSignatures {
		*s = append(*s, sum)
	}
}

// check says whether there are as many as there may be.
func (s *signatures) check() error {
	if len(*s) == 0 || len(*s) > maxSignatures {
		return ErrMalformed
	}
	return nil
}

// readLevel reads the headers of this product: while its sender replaces a secret, there is
// a second one, with the signature of the secret before.
func readLevel(h headers) (*Head, error) {
	const name = "X-Level-Signature"
	head := new(Head)
	text, err := h.one(name)
	if err != nil {
		return nil, err
	}
	before, err := h.atMostOne(name + "-Previous")
	head.signatures.hex(text, "sha256=")
	head.signatures.hex(before, "sha256=")
	return head, err
}

// readGitHub reads the headers of GitHub, whose ids are neither signed nor always there: others
// sign in the same way, and have none. Several webhooks are sent the same id.
func readGitHub(h headers) (*Head, error) {
	head := new(Head)
	text, err := h.one("X-Hub-Signature-256")
	if err != nil {
		return nil, err
	}
	if head.ID, err = h.atMostOne("X-Github-Delivery"); err != nil {
		return nil, err
	}
	if head.scope, err = h.atMostOne("X-Github-Hook-Id"); err != nil {
		return nil, err
	}
	head.signatures.hex(text, "sha256=")
	return head, nil
}

// readStandard reads the headers of Standard Webhooks. An id with a full stop, which it forbids,
// could be taken for a shorter one with another time.
func readStandard(h headers) (*Head, error) {
	id, err := h.one("Webhook-Id")
	if err != nil {
		return nil, err
	}
	at, err := h.one("Webhook-Timestamp")
	if err != nil {
		return nil, err
	}
	text, err := h.one("Webhook-Signature")
	if err != nil {
		return nil, err
	}
	if strings.Contains(id, ".") {
		return nil, ErrMalformed
	}
	head := &Head{ID: id, Timestamp: at, prefix: []byte(id + "." + at + ".")}
	for one := range strings.FieldsSeq(text) {
		if encoded, ok := strings.CutPrefix(one, "v1,"); ok { // others are of another version
			head.signatures.add(base64.StdEncoding.DecodeString(encoded))
		}
	}
	return head, nil
}

// readStripe reads the header of Stripe: a time and signatures, also those of other versions.
func readStripe(h headers) (*Head, error) {
	text, err := h.one("Stripe-Signature")
	if err != nil {
		return nil, err
	}
	head := new(Head)
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch {
		case name == "t" && head.Timestamp == "":
			head.Timestamp = value
		case name == "t":
			return nil, ErrMalformed
		case name == "v1":
			head.signatures.hex(value, "")
		}
	}
	head.prefix = []byte(head.Timestamp + ".")
	return head, nil
}

// readSlack reads the headers of Slack.
func readSlack(h headers) (*Head, error) {
	at, err := h.one("X-Slack-Request-Timestamp")
	if err != nil {
		return nil, err
	}
	text, err := h.one("X-Slack-Signature")
	if err != nil {
		return nil, err
	}
	head := &Head{Timestamp: at, prefix: bytes.Join([][]byte{[]byte("v0"), []byte(at), nil}, []byte(":"))}
	head.signatures.hex(text, "v0=")
	return head, nil
}
