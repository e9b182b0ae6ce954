package delivery

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// maxNotedTypes bounds what a partition remembers of event types, of all tenants. Beyond it
// everything is dropped, and the store is asked again.
const maxNotedTypes = 200_000

// notedTypes remembers which event types of its tenants the store was told of today, so that
// it is asked about new ones alone.
type notedTypes struct {
	mu      sync.RWMutex
	day     int64
	tenants map[string]map[string]struct{}
	size    int
}

// unknown gives the types of events that the store was not told of today, each once.
func (n *notedTypes) unknown(day int64, tenant string, events []NewEvent) (types []string) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	var noted map[string]struct{}
	if n.day == day {
		noted = n.tenants[tenant]
	}
	for i := range events {
		if _, ok := noted[events[i].Type]; !ok {
			types = append(types, events[i].Type)
		}
	}
	slices.Sort(types)
	return slices.Compact(types)
}

// add remembers types that the store was told of.
func (n *notedTypes) add(day int64, tenant string, types []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.day != day || n.size+len(types) > maxNotedTypes || n.tenants == nil {
		n.day, n.tenants, n.size = day, make(map[string]map[string]struct{}), 0
	}
	noted := n.tenants[tenant]
	if noted == nil {
		noted = make(map[string]struct{}, len(types))
		n.tenants[tenant] = noted
	}
	before := len(noted)
	for _, name := range types {
		noted[name] = struct{}{}
	}
	n.size += len(noted) - before
}

// noteTypes has the store note the types of events that are to be accepted, unless it knows
// them, or the configuration lists all there are. ErrTooManyEventTypes if the tenant has no
// room for one of them.
func (e *Engine) noteTypes(ctx context.Context, p *partition, tenant string, events []NewEvent) error {
	s := e.settings()
	if !s.AnyEventType {
		return nil
	}
	day := e.store.Now().Unix() / int64((24 * time.Hour).Seconds())
	types := p.types.unknown(day, tenant, events)
	if len(types) == 0 {
		return nil
	}
	switch err := e.store.NoteEventTypes(ctx, tenant, types, s.Retention); {
	case err == nil:
		p.types.add(day, tenant, types)
		return nil
	case errors.Is(err, ErrTooManyEventTypes), ctx.Err() != nil:
		return err
	default:
		return nothingWritten(err)
	}
}
