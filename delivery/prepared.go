package delivery

import (
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

// prepared is what all requests to a webhook have in common, under one configuration. It
// never changes.
type prepared struct {
	url, secret string // which it was made from
	headers     RequestHeaders
	target      *sender.Target
	signer      *signer // nil if the webhook has no secret
	standard    *signer // of Standard Webhooks, nil if there is to be no such signature
}

func prepare(s *Settings, w *Webhook) *prepared {
	p := &prepared{url: w.URL, secret: w.Secret, headers: newRequestHeaders(s, w.Secret)}
	p.target = sender.NewTarget(w.URL, p.headers.common(), p.headers.names()...)
	if w.Secret != "" {
		p.signer = newSigner([]byte(w.Secret))
		if s.StandardWebhooks {
			p.standard = newSigner(standardKey(w.Secret))
		}
	}
	return p
}

// message is the request of an event at a time.
func (p *prepared) message(s *Settings, ev *Event, at time.Time) sender.Message {
	var id, signature, standard string
	if p.headers.StandardWebhooks {
		id = ev.ID.String()
	}
	if p.signer != nil {
		signature = p.signer.signature(ev.Payload)
	}
	if p.standard != nil {
		standard = p.standard.standardSignature(id, at, ev.Payload)
	}
	return sender.Message{
		Target:      p.target,
		Values:      p.headers.values(id, at, signature, standard),
		Body:        ev.Payload,
		Timeout:     s.Timeout,
		MaxResponse: s.MaxResponseSize,
	}
}

// maxPrepared is how many webhooks preparedWebhooks remembers, at some 1.5 KB each. Beyond
// that it drops them all.
const maxPrepared = 16_384

// preparedWebhooks remembers what was prepared under one configuration.
type preparedWebhooks struct {
	mu   sync.Mutex
	byID map[uuid.UUID]*prepared
}

// get prepares requests to a webhook, unless that has been done for this version of it.
func (c *preparedWebhooks) get(s *Settings, w *Webhook) *prepared {
	c.mu.Lock()
	p := c.byID[w.ID]
	c.mu.Unlock()
	if p != nil && p.url == w.URL && p.secret == w.Secret {
		return p
	}
	p = prepare(s, w)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byID == nil || len(c.byID) >= maxPrepared {
		c.byID = make(map[uuid.UUID]*prepared)
	}
	c.byID[w.ID] = p
	return p
}
