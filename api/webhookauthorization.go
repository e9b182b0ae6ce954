package api

import (
	"errors"
	"fmt"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// maxCredentialLength is how many bytes each text of an authorization may have, beside
// sender.MaxURLLength.
const maxCredentialLength = 4096

// authorizationInput is how requests to a webhook are to authenticate: what there is beside the
// type depends on it.
type authorizationInput struct {
	Type         optional[string] `json:"type"`
	Token        optional[string] `json:"token"`
	Username     optional[string] `json:"username"`
	Password     optional[string] `json:"password"`
	Name         optional[string] `json:"name"`
	Value        optional[string] `json:"value"`
	TokenURL     optional[string] `json:"token_url"`
	ClientID     optional[string] `json:"client_id"`
	ClientSecret optional[string] `json:"client_secret"`
	Scope        optional[string] `json:"scope"`
}

// authorization is the same as answers have it: without its credential.
type authorization struct {
	Type     string  `json:"type"`
	Username *string `json:"username,omitzero"`
	Name     *string `json:"name,omitzero"`
	TokenURL *string `json:"token_url,omitzero"`
	ClientID *string `json:"client_id,omitzero"`
	Scope    *string `json:"scope,omitzero"`
}

func newAuthorization(a *delivery.Authorization) *authorization {
	if a == nil {
		return nil
	}
	out := &authorization{Type: string(a.Type)}
	switch a.Type {
	case delivery.BasicAuthorization:
		out.Username = &a.Username
	case delivery.HeaderAuthorization:
		out.Name = &a.Name
	case delivery.OAuth2Authorization:
		out.TokenURL, out.ClientID = &a.TokenURL, &a.ClientID
		if a.Scope != "" {
			out.Scope = &a.Scope
		}
	}
	return out
}

// authorizationMember is a member of an authorization.
type authorizationMember struct {
	name     string
	in       *optional[string]
	to       *string
	of       delivery.AuthorizationType
	optional bool
	check    func(text string) error
}

// members are all but the type, and where they go to.
func (in *authorizationInput) members(a *delivery.Authorization, b *Backend) []authorizationMember {
	return []authorizationMember{
		{name: "token", in: &in.Token, to: &a.Credential, of: delivery.BearerAuthorization, check: checkToken},
		{name: "username", in: &in.Username, to: &a.Username, of: delivery.BasicAuthorization, check: checkUsername},
		{name: "password", in: &in.Password, to: &a.Credential, of: delivery.BasicAuthorization, check: checkCredential},
		{name: "name", in: &in.Name, to: &a.Name, of: delivery.HeaderAuthorization, check: b.Settings.CheckCredentialHeader},
		{name: "value", in: &in.Value, to: &a.Credential, of: delivery.HeaderAuthorization, check: checkToken},
		{name: "token_url", in: &in.TokenURL, to: &a.TokenURL, of: delivery.OAuth2Authorization, check: b.Settings.Destinations.CheckURL},
		{name: "client_id", in: &in.ClientID, to: &a.ClientID, of: delivery.OAuth2Authorization, check: checkToken},
		{name: "client_secret", in: &in.ClientSecret, to: &a.Credential, of: delivery.OAuth2Authorization, check: checkToken},
		{name: "scope", in: &in.Scope, to: &a.Scope, of: delivery.OAuth2Authorization, optional: true, check: checkCredential},
	}
}

// authorizationOf reads an authorization that is there, and notes what is wrong with it. Null in
// it is as if the member were not there, as in a merge patch.
func authorizationOf(given *optional[authorizationInput], b *Backend, errs *fieldErrors) *delivery.Authorization {
	if !given.Set || given.Null {
		return nil
	}
	in := &given.Value
	a := &delivery.Authorization{Type: delivery.AuthorizationType(in.Type.Value)}
	switch a.Type {
	case delivery.BearerAuthorization, delivery.BasicAuthorization, delivery.HeaderAuthorization, delivery.OAuth2Authorization:
	default:
		errs.add("authorization.type", "This must be bearer, basic, header or oauth2.")
		return nil
	}
	for _, m := range in.members(a, b) {
		field, there := "authorization."+m.name, m.in.Set && !m.in.Null
		switch {
		case there && m.of != a.Type:
			errs.add(field, fmt.Sprintf("There is no such member with the type %s.", a.Type))
		case there:
			errs.check(field, m.check(m.in.Value))
			*m.to = m.in.Value
		case m.of == a.Type && !m.optional:
			errs.add(field, "This member is required.")
		}
	}
	return a
}

func checkCredential(text string) error {
	switch {
	case len(text) > maxCredentialLength:
		return fmt.Errorf("this must have at most %d bytes", maxCredentialLength)
	case strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return errors.New("this must not contain a line break or another control character")
	}
	return nil
}

func checkToken(text string) error {
	switch err := checkCredential(text); {
	case err != nil:
		return err
	case text == "":
		return errors.New("this must not be empty")
	case text != strings.TrimSpace(text):
		return errors.New("this must not begin or end with white space: remove it")
	}
	return nil
}

func checkUsername(text string) error {
	if strings.Contains(text, ":") {
		return errors.New("this must not contain a colon")
	}
	return checkCredential(text)
}

// sentAuthorization describes the same in answers.
func (b *schemas) sentAuthorization(w *jsonschema.Schema) {
	a := b.member(w, "authorization")
	a.AdditionalProperties = nil
	for _, member := range a.Properties {
		*member = jsonschema.Schema{Type: "string"} // left out rather than null
	}
}

// authorization describes how requests authenticate, as it is given.
func (b *schemas) authorization(w *jsonschema.Schema) {
	b.member(w, "authorization").Description = "How requests authenticate; null for not at all. A PATCH replaces it whole. By type: " +
		"bearer has token; basic has username and password; header has name and value; oauth2 (client credentials, RFC 6749, section 4.4) has token_url, client_id, client_secret and, if you like, scope. " +
		"No response contains token, password, value or client_secret."
}

func authorizationSchema() *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "object", Properties: make(map[string]*jsonschema.Schema), Required: []string{"type"}, AdditionalProperties: &jsonschema.Schema{Not: new(jsonschema.Schema)}}
	for _, name := range []string{"token", "username", "password", "name", "value", "token_url", "client_id", "client_secret", "scope"} {
		text := &jsonschema.Schema{Type: "string"}
		nullable(text)
		s.Properties[name] = text
	}
	for _, name := range []string{"token", "password", "value", "client_secret"} {
		s.Properties[name].WriteOnly = true
	}
	s.Properties["type"] = enumSchema(delivery.BearerAuthorization, delivery.BasicAuthorization, delivery.HeaderAuthorization, delivery.OAuth2Authorization)
	nullable(s)
	return s
}
