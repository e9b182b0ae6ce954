package delivery

import (
	"maps"
	"net/http"
	"strconv"
	"time"
)

// RequestHeaders is what the headers of a request were made from, beside its event and
// its time.
type RequestHeaders struct {
	UserAgent string
	// SignatureHeader is the name of the header with the signature, "" if the webhook
	// had no secret.
	SignatureHeader string
	// StandardWebhooks says that those of Standard Webhooks were there, too.
	StandardWebhooks bool
	// Previous says that there were signatures by the secret before, too: see RotateSecret.
	Previous bool
}

func newRequestHeaders(s *Settings, secret, previous string) RequestHeaders {
	h := RequestHeaders{UserAgent: s.UserAgent, StandardWebhooks: s.StandardWebhooks}
	if secret != "" {
		h.SignatureHeader, h.Previous = s.SignatureHeader, previous != ""
	}
	return h
}

const masked = "********"

// SentHeader is the header that was sent with the request, with its signatures masked:
// whoever has one can send that body as ours until the secret changes. It is nil for
// requests that were sent before headers were kept.
func (r *Request) SentHeader() http.Header {
	if r.Headers == (RequestHeaders{}) {
		return nil
	}
	all := r.Headers.common()
	maps.Copy(all, r.WebhookHeaders)
	signature, standard := signaturePrefix+masked, standardSignaturePrefix+masked
	if r.Headers.Previous {
		standard += " " + standard
	}
	values := r.Headers.values(r.EventID.String(), r.StartedAt(), signature, signature, standard)
	for i, name := range r.Headers.names() {
		all.Set(name, values[i])
	}
	return all
}

// common are the headers that all requests to the webhook have.
func (h *RequestHeaders) common() http.Header {
	return http.Header{"Content-Type": {"application/json"}, "User-Agent": {h.UserAgent}}
}

// names are those of the other headers, whose values differ.
func (h *RequestHeaders) names() []string {
	var names []string
	if h.SignatureHeader != "" {
		names = append(names, http.CanonicalHeaderKey(h.SignatureHeader))
	}
	if h.Previous {
		names = append(names, http.CanonicalHeaderKey(h.SignatureHeader+previousSuffix))
	}
	if h.StandardWebhooks {
		names = append(names, "Webhook-Id", "Webhook-Timestamp")
		if h.SignatureHeader != "" {
			names = append(names, "Webhook-Signature")
		}
	}
	return names
}

// values are those of the headers in names, in the same order.
func (h *RequestHeaders) values(id string, at time.Time, signature, previous, standard string) []string {
	if h.Previous {
		values := []string{signature, previous}
		if h.StandardWebhooks {
			values = append(values, id, strconv.FormatInt(at.Unix(), 10), standard)
		}
		return values
	}
	switch signed := h.SignatureHeader != ""; {
	case !h.StandardWebhooks && !signed:
		return nil
	case !h.StandardWebhooks:
		return []string{signature}
	case !signed:
		return []string{id, strconv.FormatInt(at.Unix(), 10)}
	default:
		return []string{signature, id, strconv.FormatInt(at.Unix(), 10), standard}
	}
}
