package delivery

import (
	"net/http"
	"strconv"
	"time"
)

// Head is what the headers of a request were made of, beside its event and its time.
type Head struct {
	UserAgent string
	// SignatureHeader is the name of the header with the signature, "" if the webhook
	// had no secret.
	SignatureHeader string
	// StandardWebhooks says that those of Standard Webhooks were there, too.
	StandardWebhooks bool
}

func newHead(s *Settings, secret string) Head {
	h := Head{UserAgent: s.UserAgent, StandardWebhooks: s.StandardWebhooks}
	if secret != "" {
		h.SignatureHeader = s.SignatureHeader
	}
	return h
}

// signed is what an endpoint receives beside the payload.
func (h *Head) signed(secret string, ev *Event, at time.Time) http.Header {
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

// Header is what was sent with the request, each signature masked: whoever has one can
// send that body as ours for as long as the secret stays the same. It is nil for a
// request that was sent by a version that did not keep it.
func (r *Request) Header() http.Header {
	if r.Head == (Head{}) {
		return nil
	}
	return r.Head.header(r.EventID.String(), r.StartedAt(), signaturePrefix+masked, standardSignaturePrefix+masked)
}

func (h *Head) header(id string, at time.Time, signature, standard string) http.Header {
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
