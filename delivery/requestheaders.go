package delivery

import (
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
}

func newRequestHeaders(s *Settings, secret string) RequestHeaders {
	h := RequestHeaders{UserAgent: s.UserAgent, StandardWebhooks: s.StandardWebhooks}
	if secret != "" {
		h.SignatureHeader = s.SignatureHeader
	}
	return h
}

// signed is what an endpoint receives beside the payload.
func (h *RequestHeaders) signed(secret string, ev *Event, at time.Time) http.Header {
	var id, signature, standard string
	if h.StandardWebhooks {
		id = ev.ID.String()
	}
	if h.SignatureHeader != "" {
		signature = Signature(secret, ev.Payload)
		if h.StandardWebhooks {
			standard = StandardSignature(secret, id, at, ev.Payload)
		}
	}
	return h.header(id, at, signature, standard)
}

const masked = "********"

// SentHeader is the header that was sent with the request, with its signatures masked:
// whoever has one can send that body as ours until the secret changes. It is nil for
// requests that were sent before headers were kept.
func (r *Request) SentHeader() http.Header {
	if r.Headers == (RequestHeaders{}) {
		return nil
	}
	return r.Headers.header(r.EventID.String(), r.StartedAt(), signaturePrefix+masked, standardSignaturePrefix+masked)
}

func (h *RequestHeaders) header(id string, at time.Time, signature, standard string) http.Header {
	all := make(http.Header, 6)
	all["Content-Type"] = []string{"application/json"}
	all["User-Agent"] = []string{h.UserAgent}
	if h.SignatureHeader != "" {
		all.Set(h.SignatureHeader, signature)
	}
	if h.StandardWebhooks {
		all.Set("webhook-id", id)
		all.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
		if h.SignatureHeader != "" {
			all.Set("webhook-signature", standard)
		}
	}
	return all
}
