package caddymodule

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-webhooks/caddy-webhooks/api"
)

// access decides who a caller is.
type access struct {
	emitTokens, adminTokens []tokenHash
	adminUser               requestText // one placeholder
	open                    bool        // everyone is an admin
}

// tokenHash stands for a token. Hashes have one length, so that comparing them
// in constant time does not tell the token's.
type tokenHash [sha256.Size]byte

func (h *Handler) newAccess(repl *caddy.Replacer) (access, error) {
	a := access{open: h.InsecureNoAuth}
	var err error
	if a.emitTokens, err = hashTokens(repl, h.EmitTokens); err != nil {
		return a, fmt.Errorf("emit_token %w", err)
	}
	if a.adminTokens, err = hashTokens(repl, h.AdminTokens); err != nil {
		return a, fmt.Errorf("admin_token %w", err)
	}
	adminUser := h.AdminUser
	if adminUser == "" {
		adminUser = defaultAdminUser
	}
	a.adminUser = newRequestText(adminUser)
	return a, checkAdminUser(adminUser)
}

func hashTokens(repl *caddy.Replacer, tokens []string) ([]tokenHash, error) {
	tokens, err := resolveAll(repl, tokens)
	if err != nil {
		return nil, err
	}
	hashes := make([]tokenHash, len(tokens))
	for i, token := range tokens {
		if err := checkToken(token); err != nil {
			return nil, err
		}
		hashes[i] = sha256.Sum256([]byte(token))
	}
	return hashes, nil
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

var (
	errUnknownPlaceholder = errors.New("is a placeholder that means nothing here: write {file./path} or {env.NAME}")
	errToken              = errors.New("must have printable ASCII characters only, since clients send it in a header")
)

// role says who sent the request.
func (a *access) role(r *http.Request) api.Role {
	if a.open || a.isAdminUser(r) {
		return api.Admin
	}
	scheme, credentials, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		hash := sha256.Sum256([]byte(strings.TrimLeft(credentials, " ")))
		// Both, always: the time must not tell which list a token is in.
		isAdmin, isEmitter := contains(a.adminTokens, hash), contains(a.emitTokens, hash)
		switch {
		case isAdmin:
			return api.Admin
		case isEmitter:
			return api.Emitter
		}
	case strings.EqualFold(scheme, "Basic"):
		if _, password, ok := r.BasicAuth(); ok && contains(a.adminTokens, sha256.Sum256([]byte(password))) {
			return api.Admin
		}
	}
	return api.Nobody
}

// contains compares with every hash, whichever is the right one.
func contains(hashes []tokenHash, hash tokenHash) bool {
	found := 0
	for i := range hashes {
		found |= subtle.ConstantTimeCompare(hashes[i][:], hash[:])
	}
	return found == 1
}

// replacer replaces the placeholders of a request.
func replacer(r *http.Request) *caddy.Replacer {
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		return repl
	}
	return caddy.NewReplacer()
}
