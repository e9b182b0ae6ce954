package delivery

import (
	"container/list"
	"sync"
)

// recordCache remembers webhooks of tenants whose webhooks are too large to be all remembered,
// those used last as far as there is room. A subscription never changes, and so its webhook is
// the right one.
type recordCache struct {
	most int // bytes

	mu   sync.Mutex
	of   map[*subscription]*list.Element
	used list.List // of single, the last used first
	size int
}

type single struct {
	of     *subscription
	record *Webhook
}

// singleSize is what a webhook takes here. Its filter and its order are not the subscription's
// texts: each was read by itself.
func singleSize(w *Webhook) int { return recordSize(w) + len(w.Filter) + len(w.OrderBy) }

// get returns a webhook, nil if it is not remembered.
func (c *recordCache) get(of *subscription) *Webhook {
	c.mu.Lock()
	defer c.mu.Unlock()
	place := c.of[of]
	if place == nil {
		return nil
	}
	c.used.MoveToFront(place)
	return place.Value.(single).record
}

// put remembers a webhook.
func (c *recordCache) put(of *subscription, record *Webhook) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = make(map[*subscription]*list.Element)
	}
	if c.of[of] != nil {
		return
	}
	c.of[of] = c.used.PushFront(single{of, record})
	c.size += singleSize(record)
	for c.size > c.most {
		last := c.used.Back()
		forgotten := c.used.Remove(last).(single)
		c.size -= singleSize(forgotten.record)
		delete(c.of, forgotten.of)
	}
}
