package caddymodule

import "go.uber.org/zap"

// warn tells of tokens that are not wrong, and yet hardly what somebody wants.
func (h *Handler) warn(log *zap.Logger) {
	if short := h.shortTokens(); len(short) > 0 {
		log.Warn("these tokens have fewer than 16 bytes, and may be guessed: make longer ones, such as with \"openssl rand -hex 32\"", zap.Strings("tokens", short))
	}
	choosing, useless := h.looseTokens()
	if len(choosing) > 0 {
		log.Warn("whoever has one of these tokens acts for whichever tenant the call names: give each token its tenant, "+
			"or have a proxy in front set what names the tenant, and remove what clients send",
			zap.Strings("tokens", choosing), zap.String("tenant", h.tenant.text))
	}
	if len(useless) > 0 {
		log.Warn("these tokens can do nothing here: each is for another tenant than that of this handler",
			zap.Strings("tokens", useless), zap.String("tenant", h.tenant.text))
	}
}

// shortTokens names the tokens that may be guessed, as far as the tokens are known.
func (h *Handler) shortTokens() (short []string) {
	for _, g := range h.access.tokens {
		if g.short {
			short = append(short, g.name)
		}
	}
	return short
}

// looseTokens names the tokens whose tenant callers choose, and those whose tenant this
// handler is not for.
func (h *Handler) looseTokens() (choosing, useless []string) {
	anyTenant := hasPlaceholder(h.tenant.text)
	for _, g := range h.access.tokens {
		switch {
		case anyTenant && g.tenant == "":
			choosing = append(choosing, g.name)
		case !anyTenant && g.tenant != "" && g.tenant != h.tenant.text:
			useless = append(useless, g.name)
		}
	}
	return choosing, useless
}
