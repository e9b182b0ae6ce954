package delivery

import (
	"maps"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

// prepared is what all requests to a webhook have in common, under one configuration. It
// never changes.
type prepared struct {
	of       *Webhook // which it was made from, without what requests are not made of
	headers  RequestHeaders
	target   *sender.Target
	signer   *signer // nil if the webhook has no secret
	standard *signer // of Standard Webhooks, nil if there is to be no such signature
	// previous has the signers of the secret before, which sign until it ends.
	previous struct {
		signer, standard *signer
		ends             time.Time // zero if there are none
	}
	tokens *tokens // nil if the requests have none that has to be fetched
}

// prepare prepares requests as they are made at a time.
func prepare(s *Settings, w *Webhook, at time.Time) *prepared {
	previous := w.previousSecret(at)
	p := &prepared{of: requestMembers(w), headers: newRequestHeaders(s, w.Secret, previous)}
	common, names := p.headers.common(), p.headers.names()
	maps.Copy(common, s.sentHeaders(w))
	switch a := w.Authorization; {
	case a != nil && a.Type == OAuth2Authorization:
		p.tokens = &tokens{of: a, userAgent: s.UserAgent}
		names = append(names, authorizationHeader)
	case a != nil:
		s.authorize(common, a, a.Credential)
	}
	p.target = sender.NewTarget(w.URL, common, names...)
	if c := w.ClientCertificate; c != nil {
		if identity, err := sender.NewIdentity(c.Certificate, c.PrivateKey); err == nil { // it was checked
			p.target.As(identity)
		}
	}
	if w.Secret != "" {
		p.signer = newSigner([]byte(w.Secret))
		if s.StandardWebhooks {
			p.standard = newSigner(standardKey(w.Secret))
		}
	}
	if p.headers.Previous {
		p.previous.signer, p.previous.ends = newSigner([]byte(previous)), w.PreviousSecretUntil
		if s.StandardWebhooks {
			p.previous.standard = newSigner(standardKey(previous))
		}
	}
	return p
}

// isFor reports whether requests to the webhook are made like this at a time.
func (p *prepared) isFor(w *Webhook, at time.Time) bool {
	return sameRequests(p.of, w) && (p.previous.ends.IsZero() || at.Before(p.previous.ends))
}

// message is the request of an event at a time.
func (p *prepared) message(s *Settings, ev *Event, at time.Time) sender.Message {
	var id, signature, previous, standard string
	if p.headers.StandardWebhooks {
		id = ev.ID.String()
	}
	if p.signer != nil {
		signature = p.signer.signature(ev.Payload)
	}
	if p.standard != nil {
		standard = p.standard.standardSignature(id, at, ev.Payload)
	}
	if p.headers.Previous {
		previous = p.previous.signer.signature(ev.Payload)
		if p.previous.standard != nil {
			standard += " " + p.previous.standard.standardSignature(id, at, ev.Payload)
		}
	}
	return sender.Message{
		Target:      p.target,
		Values:      p.headers.values(id, at, signature, previous, standard),
		Body:        ev.Payload,
		Timeout:     s.timeout(p.of),
		MaxResponse: s.MaxResponseSize,
	}
}

// requestMembers are the members of a webhook that its requests are made of. sameRequests
// compares these; a test has it compare whatever a webhook gets one day.
func requestMembers(w *Webhook) *Webhook {
	return &Webhook{
		ID: w.ID, URL: w.URL, Secret: w.Secret, PreviousSecret: w.PreviousSecret, PreviousSecretUntil: w.PreviousSecretUntil,
		Headers: w.Headers, Timeout: w.Timeout, Authorization: w.Authorization, ClientCertificate: w.ClientCertificate,
	}
}

// sameRequests reports whether requests to both versions of a webhook are made in the same way.
// It does not allocate, since it is called for each request.
func sameRequests(a, b *Webhook) bool {
	return a.URL == b.URL && a.Secret == b.Secret &&
		maps.Equal(a.Headers, b.Headers) && a.Timeout == b.Timeout && equal(a.Authorization, b.Authorization) &&
		equal(a.ClientCertificate, b.ClientCertificate) &&
		a.PreviousSecret == b.PreviousSecret && a.PreviousSecretUntil.Equal(b.PreviousSecretUntil)
}

func equal[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }

// maxPrepared is how many webhooks preparedWebhooks remembers, at some 1.5 KB each; what has
// more to it counts for several. Beyond that it drops them all.
const (
	maxPrepared   = 16_384
	preparedBytes = 1500
)

// weight is for how many webhooks this one counts. Headers and credentials are there three times: as they came,
// for HTTP/1.1, and for HTTP/2.
func (p *prepared) weight() int {
	return 1 + 3*(mapSize(p.of.Headers)+p.of.Authorization.size()+p.of.ClientCertificate.size())/preparedBytes
}

// preparedWebhooks remembers what was prepared under one configuration.
type preparedWebhooks struct {
	mu     sync.Mutex
	byID   map[uuid.UUID]*prepared
	weight int // of all of them
}

// get prepares requests to a webhook at a time, unless that has been done for this version of it.
func (c *preparedWebhooks) get(s *Settings, w *Webhook, at time.Time) *prepared {
	c.mu.Lock()
	p := c.byID[w.ID]
	c.mu.Unlock()
	if p != nil && p.isFor(w, at) {
		return p
	}
	p = prepare(s, w, at)
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.byID[w.ID]; old != nil {
		if old.isFor(w, at) { // made meanwhile: it may have a token already
			return old
		}
		c.weight -= old.weight()
		delete(c.byID, w.ID)
	}
	if c.byID == nil || c.weight+p.weight() > maxPrepared {
		c.byID, c.weight = make(map[uuid.UUID]*prepared), 0
	}
	c.byID[w.ID] = p
	c.weight += p.weight()
	return p
}
