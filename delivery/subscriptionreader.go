package delivery

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// subscriptionLimits bound what is remembered of webhooks, in bytes.
type subscriptionLimits struct {
	all     int // of all tenants
	records int // whole webhooks of one tenant: with more, none is kept
	types   int // names of event types of one tenant: with more, only those that were asked for
	single  int // single webhooks of those tenants whose webhooks are not kept
}

var defaultSubscriptionLimits = subscriptionLimits{all: 64 << 20, records: 4 << 20, types: 4 << 20, single: 16 << 20}

// most is how large the subscriptions to n webhooks may become.
func (l *subscriptionLimits) most(n int) int {
	return l.records + l.types + n*subscriptionBytes
}

const (
	// maxReadTime is how long reading all webhooks may take, and acceptTime how long a step of
	// it.
	maxReadTime = time.Minute
	// maxAsked is how many types are known of a tenant who has too many of them.
	maxAsked = 1024
	// maxReads is how often the reading of all webhooks begins anew. It goes on through
	// dozens of changes for each page.
	maxReads = 5
)

// readSubscriptions reads a tenant's subscriptions: what has changed since the given ones, if
// there are any and the store can tell, or all. The types are among those that are known then.
func readSubscriptions(ctx context.Context, store Store, limits *subscriptionLimits, tenant string, since *subscriptions, types []string, reads *reads) (*subscriptions, error) {
	if since != nil && since.knows(types) {
		var next *subscriptions
		read := func() error {
			changes, err := readChanges(ctx, store, tenant, since.version)
			reads.paces.count(tenant, recordSizes(changes.Webhooks))
			switch {
			case err != nil:
				return err
			case changes.Known && changes.Version == since.version:
				next = since
			case changes.Known:
				next = since.apply(&changes, limits)
			}
			return nil
		}
		var err error
		if since.list.length > MaxWebhookPage { // which are looked through
			err = reads.paces.run(ctx, tenant, read)
		} else {
			err = read()
		}
		if next != nil || err != nil {
			return next, err
		}
	}
	if since != nil && since.asked != nil && len(since.asked)+len(types) <= maxAsked {
		types = slices.Clone(types)
		for eventType := range since.asked {
			types = append(types, eventType)
		}
	}
	for range maxReads {
		r := newSubscriptionReader(limits, types)
		if whole, err := r.readAll(ctx, store, tenant, reads); err != nil || whole {
			return r.done(), err
		}
	}
	return nil, ErrStale
}

// maxLargeReads bounds how many tenants of a partition are read at a time whose webhooks are more
// than a page, and so the memory that takes.
const maxLargeReads = 8

// reads are those in progress in one partition.
type reads struct {
	running atomic.Int64
	large   chan struct{} // one value for each
	paces   readPaces
}

func newReads() *reads { return &reads{large: make(chan struct{}, maxLargeReads)} }

// subscriptionReader gathers a tenant's subscriptions from pages, and forgets what there is too
// much of.
type subscriptionReader struct {
	limits *subscriptionLimits
	asked  map[string]int
	of     subscriptions
	byID   map[uuid.UUID]*subscription

	records int // size of the records that are kept
	types   int // size of what follows
	names   map[string]string
	sets    map[string][]string
}

func newSubscriptionReader(limits *subscriptionLimits, types []string) *subscriptionReader {
	asked := make(map[string]int, len(types))
	for _, eventType := range types {
		if _, ok := asked[eventType]; !ok {
			asked[eventType] = len(asked)
		}
	}
	return &subscriptionReader{
		limits: limits, asked: asked, of: subscriptions{records: true},
		byID: make(map[uuid.UUID]*subscription), names: make(map[string]string), sets: make(map[string][]string),
	}
}

// readAll reads all pages. What changes meanwhile is read when the next page tells of it; false
// if the store does not know what has changed.
func (r *subscriptionReader) readAll(ctx context.Context, store Store, tenant string, reads *reads) (whole bool, err error) {
	large, bytes := false, 0
	defer func() {
		reads.paces.count(tenant, min(bytes, maxWebhookDebt))
		if large {
			<-reads.large
		}
	}()
	for first, after := true, ""; ; first = false {
		var page WebhookPage
		read := func() (err error) {
			page, err = readPage(ctx, store, tenant, after)
			return err
		}
		if first {
			err = read()
		} else {
			err = reads.paces.run(ctx, tenant, read)
		}
		if err != nil {
			return false, err
		}
		if first {
			r.of.version = page.Version
		}
		r.add(page.Webhooks)
		bytes += recordSizes(page.Webhooks)
		if page.Version != r.of.version {
			changes, err := readChanges(ctx, store, tenant, r.of.version)
			if err != nil || !changes.Known {
				return false, err
			}
			r.of.version = changes.Version
			for _, id := range changes.Deleted {
				r.remove(id)
			}
			r.add(changes.Webhooks)
		}
		if after = page.Next; after == "" {
			return true, nil
		}
		if !large {
			select {
			case reads.large <- struct{}{}:
				large = true
			case <-ctx.Done():
				return false, ctx.Err()
			}
		}
	}
}

func readPage(ctx context.Context, store Store, tenant, after string) (WebhookPage, error) {
	ctx, cancel := context.WithTimeout(ctx, acceptTime)
	defer cancel()
	return store.WebhookPage(ctx, tenant, after)
}

func readChanges(ctx context.Context, store Store, tenant string, since int64) (WebhookChanges, error) {
	ctx, cancel := context.WithTimeout(ctx, acceptTime)
	defer cancel()
	return store.WebhookChanges(ctx, tenant, since)
}

func (r *subscriptionReader) remove(id uuid.UUID) {
	if of := r.byID[id]; of != nil {
		if of.record != nil {
			r.records -= recordSize(of.record)
		}
		delete(r.byID, id)
	}
}

func (r *subscriptionReader) add(webhooks []*Webhook) {
	for _, w := range webhooks {
		r.remove(w.ID) // it may come twice, or have changed
		of := newSubscription(w)
		r.byID[w.ID] = of
		r.records += recordSize(w)
		switch {
		case r.of.asked != nil:
			of.record = nil
			of.forgetTypes(r.of.asked)
		case !r.of.records:
			of.record = nil
			r.share(of)
		case r.records > r.limits.records:
			r.forgetRecords()
		}
	}
}

// forgetRecords goes on without whole webhooks.
func (r *subscriptionReader) forgetRecords() {
	r.of.records = false
	for _, of := range r.byID {
		of.record = nil
		r.share(of)
	}
}

// share lets webhooks that want the same types share the list, and all lists the names. It goes
// on without types if there are too many.
func (r *subscriptionReader) share(of *subscription) {
	if r.of.asked != nil {
		of.forgetTypes(r.of.asked)
		return
	}
	key := strings.Join(of.types, "\n")
	set, ok := r.sets[key]
	if !ok || !slices.Equal(set, of.types) {
		set = make([]string, len(of.types))
		for i, name := range of.types {
			shared, ok := r.names[name]
			if !ok {
				shared = strings.Clone(name)
				r.names[shared] = shared
				r.types += textBytes + len(name)
			}
			set[i] = shared
		}
		r.sets[key] = set
		r.types += textBytes*len(set) + textBytes + len(key)
	}
	of.types = set
	if r.types > r.limits.types {
		r.of.asked, r.names, r.sets = r.asked, nil, nil
		for _, other := range r.byID {
			other.forgetTypes(r.asked)
		}
	}
}

// done returns what was gathered.
func (r *subscriptionReader) done() *subscriptions {
	s := &subscriptions{version: r.of.version, asked: r.of.asked, records: r.of.records}
	all := make([]*subscription, 0, len(r.byID))
	s.size = tenantBytes
	for _, of := range r.byID {
		all = append(all, of)
		s.size += of.bytes() + 8*len(of.mask)
		s.filters += of.expressionBytes()
		s.orders += len(of.orderBy)
	}
	slices.SortFunc(all, older)
	s.list = newSubscriptionList(all)
	switch {
	case s.records:
		s.size += r.records
	case s.asked == nil:
		s.size += r.types
	}
	for eventType := range s.asked {
		s.size += textBytes + len(eventType)
	}
	return s
}
