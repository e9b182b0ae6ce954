package delivery

import (
	"encoding/base64"
	"net/http"
	"strings"
)

// AuthorizationType says how requests authenticate.
type AuthorizationType string

// Types of an Authorization.
const (
	BearerAuthorization AuthorizationType = "bearer"
	BasicAuthorization  AuthorizationType = "basic"
	HeaderAuthorization AuthorizationType = "header"
	OAuth2Authorization AuthorizationType = "oauth2" // client credentials (RFC 6749, section 4.4)
)

// Authorization is how requests to a webhook authenticate. It never changes.
type Authorization struct {
	Type AuthorizationType
	// Credential is the token, the password, the value of the header or the client's secret.
	// Only requests and the store see it.
	Credential string
	Username   string // of basic
	Name       string // of header
	// Of oauth2:
	TokenURL, ClientID, Scope string
}

const authorizationHeader = "Authorization"

// header is the name of the header that has the credential.
func (a *Authorization) header() string {
	if a.Type == HeaderAuthorization {
		return a.Name
	}
	return authorizationHeader
}

// value is that of the header: with a credential, or what is shown in its place. Of oauth2, the
// credential is a token.
func (a *Authorization) value(credential string) string {
	switch a.Type {
	case BasicAuthorization:
		if credential == masked {
			return "Basic " + masked
		}
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(a.Username+":"+credential))
	case HeaderAuthorization:
		return credential
	default:
		return "Bearer " + credential
	}
}

// authorize puts the credential of a webhook, or what is shown in its place, into the headers that
// all its requests have. One that has to be fetched is not among these.
func (s *Settings) authorize(common http.Header, a *Authorization, credential string) {
	if a == nil || s.isForSignatures(a.header()) { // signature_header may have got this name since
		return
	}
	for name := range common {
		if strings.EqualFold(name, a.header()) {
			delete(common, name)
		}
	}
	common[a.header()] = []string{a.value(credential)}
}
