package caddymodule

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-webhooks/caddy-webhooks/api"
)

// Token is what a caller shows to act in a role. In JSON, a token without a tenant can be
// a plain string.
type Token struct {
	// The token itself. It can contain global placeholders such as
	// `{file./run/secrets/admin_token}`.
	Token string `json:"token,omitempty"`

	// The one tenant that it acts for: calls about another one are refused, and a
	// call that names none is about this one. It can contain global placeholders.
	// Default: whichever tenant the call is about.
	Tenant string `json:"tenant,omitempty"`
}

// UnmarshalJSON reads an object or a plain string.
func (t *Token) UnmarshalJSON(raw []byte) error {
	if raw = bytes.TrimSpace(raw); len(raw) > 0 && raw[0] == '"' {
		*t = Token{}
		return json.Unmarshal(raw, &t.Token)
	}
	type plain Token
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	return dec.Decode((*plain)(t))
}

// MarshalJSON writes a plain string if that says all.
func (t Token) MarshalJSON() ([]byte, error) {
	if t == (Token{Token: t.Token}) {
		return json.Marshal(t.Token)
	}
	type plain Token
	return json.Marshal(plain(t))
}

// tokenHash stands for a token. Hashes have one length, so that comparing them
// in constant time does not tell the token's.
type tokenHash [sha256.Size]byte

// grant is what a token allows.
type grant struct {
	name   string // for people, who must not see the token
	hash   tokenHash
	role   api.Role
	tenant string // the only one; "" for any
}

// newGrants resolves and checks the tokens of one option.
func newGrants(repl *caddy.Replacer, option string, role api.Role, tokens []Token) ([]grant, error) {
	grants := make([]grant, len(tokens))
	for i, t := range tokens {
		token, err := resolve(repl, t.Token)
		if err == nil {
			err = checkToken(token)
		}
		if err != nil {
			return nil, fmt.Errorf("%s %w", option, err)
		}
		grants[i] = grant{name: fmt.Sprintf("%s %d", option, i+1), hash: sha256.Sum256([]byte(token)), role: role}
		if t.Tenant == "" {
			continue
		}
		if grants[i].tenant, err = resolve(repl, t.Tenant); err != nil {
			return nil, fmt.Errorf("%s: its tenant %w", option, err)
		}
		if !api.ValidTenant(grants[i].tenant) {
			return nil, fmt.Errorf("%s: its %w", option, errTenant)
		}
	}
	return grants, nil
}

// check checks what has no placeholders.
func (t Token) check(option string) error {
	if hasPlaceholder(t.Token) {
		t.Token = "unknown"
	}
	if hasPlaceholder(t.Tenant) {
		t.Tenant = ""
	}
	_, err := newGrants(caddy.NewReplacer(), option, api.Nobody, []Token{t})
	return err
}

// checkToken refuses tokens that nobody could send or everybody would know.
func checkToken(token string) error {
	switch {
	case onePlaceholder.MatchString(token): // it would itself be the token, in plain sight
		return errUnknownPlaceholder
	case strings.ContainsFunc(token, func(r rune) bool { return r < ' ' || r > '~' }):
		return errToken
	default:
		return nil
	}
}

// checkGrants refuses a token that is given twice in a way that leaves open what it allows.
func checkGrants(grants []grant) error {
	before := make(map[tokenHash]grant, len(grants))
	for _, g := range grants {
		other, given := before[g.hash]
		switch {
		case given && other.tenant != g.tenant:
			return errTwoTenants
		case given && other.role == api.Emitter && g.role == api.Viewer: // neither may all that the other may
			return errTwoRoles
		}
		before[g.hash] = g
	}
	return nil
}

var (
	errUnknownPlaceholder = errors.New("is a placeholder that means nothing here: write {file./path} or {env.NAME}")
	errToken              = errors.New("must have printable ASCII characters only, since clients send it in a header")
	errTwoRoles           = errors.New("the same token is an emit_token and a viewer_token: make a token for each")
	errTwoTenants         = errors.New("the same token is given with two tenants, or with and without one: make a token for each")
)
