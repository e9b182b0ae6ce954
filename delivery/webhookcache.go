package delivery

import (
	"context"
	"sync"
)

// Bounds of the cache. Beyond them everything is dropped, and read again when it is
// needed.
const (
	maxRemembered      = 100_000 // webhooks, or tenants, of all partitions
	minRemembered      = 10_000  // of one
	maxRememberedTypes = 256     // event types of a tenant
)

// webhookCache remembers which webhooks want which events. It may be out of date:
// Accept refuses targets that were chosen from an old version, upon which the caller
// forgets the tenant and chooses again.
type webhookCache struct {
	load func(ctx context.Context, tenant string) ([]*Webhook, int64, error)
	most int // webhooks, or tenants

	mu      sync.Mutex
	tenants map[string]*tenantWebhooks
	size    int
}

// tenantWebhooks is one version of a tenant's webhooks.
type tenantWebhooks struct {
	version  int64
	webhooks []*Webhook
	byType   map[string][]*Webhook
}

// get returns one version of the tenant's webhooks. Only one goroutine at a time may
// call it and use the result.
func (c *webhookCache) get(ctx context.Context, tenant string) (*tenantWebhooks, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t, ok := c.tenants[tenant]; ok {
		return t, nil
	}
	webhooks, version, err := c.load(ctx, tenant)
	if err != nil {
		return nil, err
	}
	t := &tenantWebhooks{version: version, webhooks: webhooks}
	c.remember(tenant, t)
	return t, nil
}

func (c *webhookCache) remember(tenant string, t *tenantWebhooks) {
	if c.tenants == nil || c.size >= c.most {
		c.tenants = make(map[string]*tenantWebhooks)
		c.size = 0
	}
	c.tenants[tenant] = t
	c.size += 1 + len(t.webhooks)
}

// forget has the tenant's webhooks read anew when they are next needed.
func (c *webhookCache) forget(tenant string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t, ok := c.tenants[tenant]; ok {
		delete(c.tenants, tenant)
		c.size -= 1 + len(t.webhooks)
	}
}

// wanting returns the webhooks that want events of the type.
func (t *tenantWebhooks) wanting(eventType string) []*Webhook {
	if wanting, ok := t.byType[eventType]; ok {
		return wanting
	}
	var wanting []*Webhook
	for _, w := range t.webhooks {
		if w.Wants(eventType) {
			wanting = append(wanting, w)
		}
	}
	if t.byType == nil || len(t.byType) >= maxRememberedTypes {
		t.byType = make(map[string][]*Webhook)
	}
	t.byType[eventType] = wanting
	return wanting
}
