package api

import (
	"fmt"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

// maxPEMLength is how many bytes a client certificate, and its key, may have.
const maxPEMLength = 16 << 10

// certificateInput is a client certificate, with its key.
type certificateInput struct {
	Certificate optional[string] `json:"certificate"`
	PrivateKey  optional[string] `json:"private_key"`
}

// certificate is the same as answers have it.
type certificate struct {
	Certificate string    `json:"certificate"`
	NotAfter    time.Time `json:"not_after"`
}

func newCertificate(c *delivery.ClientCertificate) *certificate {
	if c == nil {
		return nil
	}
	_, notAfter, _ := sender.ParseCertificates(c.Certificate) // it was checked
	return &certificate{c.Certificate, notAfter.UTC()}
}

// certificateOf reads a client certificate that is there, and notes what is wrong with it. What is
// stored of it has certificates alone, whatever else the text has.
func certificateOf(in *optional[certificateInput], errs *fieldErrors) *delivery.ClientCertificate {
	if !in.Set || in.Null {
		return nil
	}
	c, k := &in.Value.Certificate, &in.Value.PrivateKey
	there := errs.required("client_certificate.certificate", c.Set, c.Null)
	if !errs.required("client_certificate.private_key", k.Set, k.Null) || !there {
		return nil
	}
	for name, text := range map[string]string{"certificate": c.Value, "private_key": k.Value} {
		if len(text) > maxPEMLength {
			errs.add("client_certificate."+name, fmt.Sprintf("This must have at most %d bytes.", maxPEMLength))
			return nil
		}
	}
	clean, _, err := sender.ParseCertificates(c.Value)
	if err != nil {
		errs.check("client_certificate.certificate", err)
		return nil
	}
	if _, err := sender.NewIdentity(clean, k.Value); err != nil {
		errs.check("client_certificate.private_key", err)
		return nil
	}
	return &delivery.ClientCertificate{Certificate: clean, PrivateKey: k.Value}
}

// certificateSchema is that of a client certificate, as it is given.
func certificateSchema() *jsonschema.Schema {
	s := &jsonschema.Schema{
		Type: "object", Required: []string{"certificate", "private_key"}, AdditionalProperties: &jsonschema.Schema{Not: new(jsonschema.Schema)},
		Properties: map[string]*jsonschema.Schema{
			"certificate": {Type: "string", MaxLength: new(maxPEMLength)}, "private_key": {Type: "string", MaxLength: new(maxPEMLength), WriteOnly: true},
		},
		Description: "What requests tell the endpoint in TLS: a certificate, or a chain with the client's first, and its key, both PEM; null for none. A PATCH replaces it whole. No response contains the key.",
	}
	nullable(s)
	return s
}
