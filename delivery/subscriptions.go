package delivery

import (
	"bytes"
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"unique"

	"github.com/google/uuid"
)

// subscription is what choosing needs of a webhook. It never changes: a webhook that does has
// another one.
type subscription struct {
	id      uuid.UUID
	created int64 // in nanoseconds
	enabled bool
	types   []string // nil if not all types are kept
	mask    []uint64 // then, which of the asked types it wants, by their numbers
	filter  string   // "" if it has none
	// disabledSince is in nanoseconds, 0 while it is enabled.
	disabledSince int64
	warnings      unique.Handle[bothWarnings]
	orderBy       string // "" if it has none
	// record is the whole webhook, nil if the tenant's are too large: see recordCache.
	record *Webhook
}

// bothWarnings are what SecretWarning says of a secret, of which there are few kinds: without and
// with Standard Webhooks.
type bothWarnings struct{ usual, standard string }

// Approximate sizes in memory.
const (
	subscriptionBytes = 136
	recordBytes       = 250
	textBytes         = 16 // of a string, without its text
	tenantBytes       = 400
	retryBytes        = 64
	rateLimitBytes    = 16
)

// mapSize is the size of a map of texts.
func mapSize(texts map[string]string) int {
	n := 0
	for name, text := range texts {
		n += 2*textBytes + len(name) + len(text)
	}
	return n
}

func textsSize(texts []string) int {
	n := 0
	for _, text := range texts {
		n += textBytes + len(text)
	}
	return n
}

func recordSize(w *Webhook) int {
	return recordBytes + len(w.URL) + len(w.Secret) + len(w.PreviousSecret) + len(w.Description) + textsSize(w.EventTypes) +
		mapSize(w.Headers) + mapSize(w.Metadata) + w.Authorization.size() + w.ClientCertificate.size() +
		w.Retry.size() + w.RateLimit.size() + len(w.Transform)
}

func recordSizes(webhooks []*Webhook) int {
	bytes := 0
	for _, w := range webhooks {
		bytes += recordSize(w)
	}
	return bytes
}

func (c *ClientCertificate) size() int {
	if c == nil {
		return 0
	}
	return 2*textBytes + len(c.Certificate) + len(c.PrivateKey)
}

// size is that in memory.
func (a *Authorization) size() int {
	if a == nil {
		return 0
	}
	return 7*textBytes + len(a.Credential) + len(a.Username) + len(a.Name) + len(a.TokenURL) + len(a.ClientID) + len(a.Scope)
}

// bytes is the size of a subscription without its types and its record.
func (s *subscription) bytes() int { return subscriptionBytes + s.expressionBytes() }

// expressionBytes is the size of its filter and its order, which are remembered with each, since all
// are evaluated for each event.
func (s *subscription) expressionBytes() int { return len(s.filter) + len(s.orderBy) }

// older orders subscriptions as OldestFirst does webhooks.
func older(a, b *subscription) int {
	return cmp.Or(cmp.Compare(a.created, b.created), bytes.Compare(a.id[:], b.id[:]))
}

// subscriptions are one version of what a tenant's webhooks want. Those that choose use them
// at the same time.
type subscriptions struct {
	version int64
	list    subscriptionList
	// asked are the event types that are known, by number, if not all are: nobody knows how
	// many names the webhooks have.
	asked   map[string]int
	records bool // all have their records
	filters int  // the size of all filters and orders in bytes
	orders  int  // of which that of orders
	size    int  // in bytes, without what wanting remembers

	listed atomic.Int64 // the size of what wanting remembers
	mu     sync.Mutex
	byType map[string][]*subscription
}

// maxRememberedTypes bounds the event types whose webhooks are remembered as lists; the lists
// together are no longer than that of all webhooks for each of listsPerWebhook types.
const (
	maxRememberedTypes = 256
	listsPerWebhook    = 16
)

// knows says whether it is known who wants the types.
func (s *subscriptions) knows(types []string) bool {
	return s.asked == nil || !slices.ContainsFunc(types, func(eventType string) bool {
		_, ok := s.asked[eventType]
		return !ok
	})
}

// wanting are the enabled webhooks that want events of a type, which must be known.
func (s *subscriptions) wanting(eventType string) []*subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	if wanting, ok := s.byType[eventType]; ok {
		return wanting
	}
	var wanting []*subscription
	for of := range s.list.all() {
		if s.wants(of, eventType) {
			wanting = append(wanting, of)
		}
	}
	most := int64(8 * listsPerWebhook * (s.list.length + maxRememberedTypes))
	size := int64(textBytes + len(eventType) + 3*8 + 8*len(wanting))
	if s.byType == nil || len(s.byType) >= maxRememberedTypes || s.listed.Load()+size > most {
		s.byType = make(map[string][]*subscription)
		s.listed.Store(0)
	}
	s.listed.Add(size)
	s.byType[eventType] = wanting
	return wanting
}

func (s *subscriptions) wants(of *subscription, eventType string) bool {
	switch {
	case !of.enabled:
		return false
	case s.asked == nil:
		return slices.Contains(of.types, eventType) || slices.Contains(of.types, AllEventTypes)
	default:
		n := s.asked[eventType]
		return of.mask[n/64]&(1<<(n%64)) != 0
	}
}

// apply makes the subscriptions that follow from these by changes, nil if they would be too
// large to keep what these keep.
func (s *subscriptions) apply(changes *WebhookChanges, limits *subscriptionLimits) *subscriptions {
	next := &subscriptions{
		version: changes.Version, asked: s.asked, records: s.records, size: s.size, filters: s.filters, orders: s.orders, list: s.list,
	}
	for _, id := range changes.Deleted {
		if old := next.list.find(id); old != nil {
			next.remove(old)
		}
	}
	for _, w := range changes.Webhooks {
		of := newSubscription(w)
		old := next.list.like(of)
		if old != nil {
			next.remove(old)
		}
		switch {
		case s.records:
			next.size += recordSize(w)
		case s.asked != nil:
			of.forgetTypes(s.asked)
		case old != nil && slices.Equal(of.types, old.types):
			of.types = old.types // which others may share
		default:
			next.size += textsSize(of.types) // what it had may be shared, and is not subtracted
		}
		if !s.records {
			of.record = nil
		}
		next.add(of)
	}
	if next.size-next.filters > limits.most(next.list.length) {
		return nil
	}
	return next
}

// add adds a subscription, whose types and record are counted already.
func (s *subscriptions) add(of *subscription) {
	s.size += of.bytes()
	s.filters += of.expressionBytes()
	s.orders += len(of.orderBy)
	s.list = s.list.with(of)
}

func (s *subscriptions) remove(of *subscription) {
	s.size -= of.bytes()
	s.filters -= of.expressionBytes()
	s.orders -= len(of.orderBy)
	if of.record != nil {
		s.size -= recordSize(of.record)
	}
	s.list = s.list.without(of)
}

func newSubscription(w *Webhook) *subscription {
	s := &subscription{
		id: w.ID, created: w.CreatedAt.UnixNano(), enabled: w.Enabled, types: w.EventTypes, filter: w.Filter, orderBy: w.OrderBy, record: w,
		warnings: unique.Make(bothWarnings{SecretWarning(w.Secret, false), SecretWarning(w.Secret, true)}),
	}
	if !w.Enabled {
		s.disabledSince = w.DisabledSince().UnixNano()
	}
	return s
}

// forgetTypes leaves only what is known of the asked types.
func (s *subscription) forgetTypes(asked map[string]int) {
	if s.mask != nil {
		return
	}
	s.mask = make([]uint64, (len(asked)+63)/64)
	all := slices.Contains(s.types, AllEventTypes)
	for _, eventType := range s.types {
		if n, ok := asked[eventType]; ok {
			s.mask[n/64] |= 1 << (n % 64)
		}
	}
	for _, n := range asked {
		if all {
			s.mask[n/64] |= 1 << (n % 64)
		}
	}
	s.types = nil
}
