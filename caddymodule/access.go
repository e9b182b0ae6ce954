package caddymodule

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/api"
)

// access decides who a caller is.
type access struct {
	tokens    []grant     // by role, the greatest last
	adminUser requestText // one placeholder
	open      bool        // everyone on this machine is an admin
	brake     *brake
	log       *zap.Logger
}

func (h *Handler) newAccess(repl *caddy.Replacer) (access, error) {
	a := access{open: h.InsecureNoAuth, brake: theBrake, log: zap.NewNop()}
	for _, of := range []struct {
		option string
		role   api.Role
		tokens []Token
	}{
		{"emit_token", api.Emitter, h.EmitTokens},
		{"viewer_token", api.Viewer, h.ViewerTokens},
		{"admin_token", api.Admin, h.AdminTokens},
	} {
		grants, err := newGrants(repl, of.option, of.role, of.tokens)
		if err != nil {
			return a, err
		}
		a.tokens = slices.Concat(a.tokens, grants)
	}
	if err := checkGrants(a.tokens); err != nil {
		return a, err
	}
	adminUser := h.AdminUser
	if adminUser == "" {
		adminUser = defaultAdminUser
	}
	a.adminUser = newRequestText(adminUser)
	return a, checkAdminUser(adminUser)
}

// caller says who sent the request, which is about a tenant.
func (a *access) caller(r *http.Request, tenant string) api.Caller {
	by := api.Caller{Tenant: tenant}
	if a.isAdminUser(r) {
		by.Role = api.Admin
		return by
	}
	if a.open {
		if by.Refusal = notLocal(r, a.hasTokens()); by.Refusal == nil {
			by.Role = api.Admin
			return by
		}
	}
	token, isPassword := credentials(r)
	if token == "" {
		return by
	}
	hash := tokenHash(sha256.Sum256([]byte(token)))
	g, ok := find(a.tokens, hash)
	if !ok {
		if refusal := a.wrongToken(r, hash); refusal != nil {
			by.Refusal = refusal
		}
		return by
	}
	by.Refusal = nil
	switch {
	case isPassword && g.role == api.Emitter:
	case g.tenant == "":
		by.Role = g.role
	case tenant == "":
		by.Role, by.Tenant = g.role, g.tenant
	case tenant == g.tenant:
		by.Role = g.role
	default:
		by.Refusal = &anotherTenant
	}
	return by
}

var anotherTenant = api.Refusal{
	Status: http.StatusForbidden,
	Detail: "This token is for one tenant, and the call is about another one: use a token of that tenant, or one that has none.",
}

// wrongToken is the answer to a token that is none of ours; nil for the usual one.
func (a *access) wrongToken(r *http.Request, hash tokenHash) *api.Refusal {
	if len(a.tokens) == 0 { // whatever it is, it is not for us
		return nil
	}
	from := addressOf(r)
	wait, tell := a.brake.wrongToken(from, hash)
	if tell {
		a.log.Warn("many wrong tokens came from this address: wrong ones are answered with 429 for a while, right ones as ever", zap.Stringer("address", from))
	}
	if wait == 0 {
		metrics.wrongToken(http.StatusUnauthorized)
		return nil
	}
	metrics.wrongToken(http.StatusTooManyRequests)
	return &api.Refusal{
		Status: http.StatusTooManyRequests, RetryAfter: (wait + time.Second - 1).Truncate(time.Second),
		Detail: "Many wrong tokens came from your address, and this one is wrong, too. A right one is accepted at once; wait before you try others.",
	}
}

// credentials are what a caller shows: a token, or a password that may be one.
func credentials(r *http.Request) (token string, isPassword bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		return strings.TrimLeft(token, " "), false
	case strings.EqualFold(scheme, "Basic"):
		_, password, _ := r.BasicAuth()
		return password, true
	default:
		return "", false
	}
}

// find finds what a token allows. It compares with every token, whichever is the right
// one: the time must not tell which, or whether it is one for admins. The last one counts.
func find(tokens []grant, hash tokenHash) (grant, bool) {
	found := -1
	for i := range tokens {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(tokens[i].hash[:], hash[:]), i, found)
	}
	if found < 0 {
		return grant{}, false
	}
	return tokens[found], true
}

// replacer replaces the placeholders of a request.
func replacer(r *http.Request) *caddy.Replacer {
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		return repl
	}
	return caddy.NewReplacer()
}
