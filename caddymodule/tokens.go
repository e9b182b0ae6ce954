package caddymodule

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
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

	// The SHA-256 of the token in hex, in place of the token, which then stands
	// nowhere on this machine. It can contain global placeholders.
	Hash string `json:"hash,omitempty"`

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
	short  bool // the token may be one that can be guessed
	role   api.Role
	tenant string // the only one; "" for any
}

// newGrants resolves and checks the tokens of one option.
func newGrants(repl *caddy.Replacer, option string, role api.Role, tokens []Token) ([]grant, error) {
	grants := make([]grant, len(tokens))
	for i, t := range tokens {
		var err error
		if grants[i], err = t.grant(repl, option); err != nil {
			return nil, err
		}
		grants[i].name, grants[i].role = fmt.Sprintf("%s %d", option, i+1), role
	}
	return grants, nil
}

// grant resolves and checks a token. Its errors begin with the option, and do not show the
// token.
func (t Token) grant(repl *caddy.Replacer, option string) (g grant, err error) {
	switch {
	case t.Hash == "":
		g.hash, g.short, err = hashToken(repl, t.Token)
	case t.Token == "":
		option += hashSuffix
		g.hash, err = parseHash(repl, t.Hash)
	default:
		err = errTokenAndHash
	}
	if err != nil {
		return g, fmt.Errorf("%s %w", option, err)
	}
	if t.Tenant == "" {
		return g, nil
	}
	if g.tenant, err = resolve(repl, t.Tenant); err != nil {
		return g, fmt.Errorf("%s: its tenant %w", option, err)
	}
	if !api.ValidTenant(g.tenant) {
		return g, fmt.Errorf("%s: its %w", option, errTenant)
	}
	return g, nil
}

// check checks what has no placeholders.
func (t Token) check(option string) error {
	if hasPlaceholder(t.Token) || hasPlaceholder(t.Hash) {
		t.Token, t.Hash = "unknown", ""
	}
	if hasPlaceholder(t.Tenant) {
		t.Tenant = ""
	}
	_, err := t.grant(caddy.NewReplacer(), option)
	return err
}

const (
	hashSuffix = "_hash" // of the option for the hash of a token
	// shortToken is how many bytes a token should have at least: 16 random ones cannot
	// be guessed.
	shortToken = 16
)

func hashToken(repl *caddy.Replacer, token string) (hash tokenHash, short bool, err error) {
	token, err = resolve(repl, token)
	if err == nil {
		err = checkToken(token)
	}
	return sha256.Sum256([]byte(token)), len(token) < shortToken, err
}

func parseHash(repl *caddy.Replacer, text string) (hash tokenHash, err error) {
	if text, err = resolve(repl, text); err != nil {
		return hash, err
	}
	decoded, err := hex.DecodeString(text)
	if err != nil || len(decoded) != len(hash) {
		return hash, errHash
	}
	if hash = tokenHash(decoded); hash == sha256.Sum256(nil) {
		return hash, errHashOfNothing
	}
	return hash, nil
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
	errTokenAndHash       = errors.New("has both a token and a hash: give one of them")
	errHash               = errors.New("must be a SHA-256 in hex, which has 64 digits")
	errHashOfNothing      = errors.New("is the SHA-256 of an empty text: was the token there when you made it?")
	errTwoRoles           = errors.New("the same token is an emit_token and a viewer_token: make a token for each")
	errTwoTenants         = errors.New("the same token is given with two tenants, or with and without one: make a token for each")
)

// hasTokens says whether anybody can be let in by a token.
func (a *access) hasTokens() bool { return len(a.tokens) > 0 }
