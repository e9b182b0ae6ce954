package delivery

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// WebhookSort is an order of webhooks.
type WebhookSort string

// The orders that FindWebhooks knows.
const (
	SortOldest WebhookSort = "created_at"
	SortNewest WebhookSort = "-created_at"
	SortURL    WebhookSort = "url" // byte by byte; the oldest first of those that are the same
)

// WebhookFilter selects webhooks of a tenant, and sorts them. A zero member selects all; without
// a Sort, the oldest come first.
type WebhookFilter struct {
	// Text is in the URL, the description or the id, whether in capitals or not.
	Text    string
	Enabled *bool
	Sort    WebhookSort
}

// Matches says whether the filter selects a webhook.
func (f *WebhookFilter) Matches(w *Webhook) bool {
	if f.Enabled != nil && *f.Enabled != w.Enabled {
		return false
	}
	text := strings.ToLower(f.Text)
	return text == "" || strings.Contains(strings.ToLower(w.URL), text) ||
		strings.Contains(strings.ToLower(w.Description), text) || strings.Contains(w.ID.String(), text)
}

// WebhookPlace is a place in a list of a tenant's webhooks: that of the webhook with this time and
// id and, where they are sorted by it, this URL, or where it was. The zero value is before all.
type WebhookPlace struct {
	CreatedAt time.Time
	ID        uuid.UUID
	URL       string
}

// place is the subscription's place in the lists that are sorted by time.
func (s *subscription) place() WebhookPlace {
	return WebhookPlace{CreatedAt: time.Unix(0, s.created).UTC(), ID: s.id}
}

// FoundWebhooks is a part of a list of webhooks, which nobody changes.
type FoundWebhooks struct {
	Webhooks []*Webhook
	// More says that there may be others, behind Next.
	More bool
	Next WebhookPlace
}

// maxWebhookLook is how many webhooks FindWebhooks looks at for those that a filter selects.
const maxWebhookLook = 20 * MaxWebhookPage

// FindWebhooks reads up to limit of a tenant's webhooks behind a place of the same list. It reads
// them in small steps, for which nobody else waits. It may find fewer, or none, and there may be
// more all the same: it looks at a thousand at most. Only a list by URL has it look at all, of
// which it keeps those that it returns.
func (e *Engine) FindWebhooks(ctx context.Context, tenant string, f WebhookFilter, after WebhookPlace, limit int) (FoundWebhooks, error) {
	of, err := e.freshSubscriptions(ctx, tenant)
	if err != nil {
		return FoundWebhooks{}, err
	}
	if f.Sort == SortURL {
		return e.firstByURL(ctx, tenant, of, &f, after, limit)
	}
	rest := f.rest(of, after)
	var found FoundWebhooks
	step := of.readStep()
	for looked := 0; !rest.isEmpty() && looked < maxWebhookLook; {
		n := step.size()
		if f.Text == "" {
			n = min(n, limit-len(found.Webhooks))
		}
		some := rest.take(n)
		looked += len(some)
		found.Next = some[len(some)-1].place()
		webhooks, err := e.readSome(ctx, tenant, &step, f.enabled(some))
		if err != nil {
			return FoundWebhooks{}, err
		}
		for i, w := range webhooks {
			if !f.Matches(w) {
				continue
			}
			if found.Webhooks = append(found.Webhooks, w); len(found.Webhooks) == limit {
				found.More = i+1 < len(webhooks) || !rest.isEmpty()
				found.Next = w.place()
				return found, nil
			}
		}
	}
	found.More = !rest.isEmpty()
	return found, nil
}

func (w *Webhook) place() WebhookPlace { return WebhookPlace{CreatedAt: w.CreatedAt, ID: w.ID} }

// enabled leaves out those that are known not to be selected, before they are read.
func (f *WebhookFilter) enabled(some []*subscription) []*subscription {
	if f.Enabled == nil {
		return some
	}
	return slices.DeleteFunc(slices.Clone(some), func(s *subscription) bool { return s.enabled != *f.Enabled })
}

// rest is what is left of a list that is sorted by time, behind a place.
func (f *WebhookFilter) rest(of *subscriptions, after WebhookPlace) restOfList {
	newestFirst := f.Sort == SortNewest
	if after == (WebhookPlace{}) {
		return of.list.rest(newestFirst)
	}
	return of.list.behind(&subscription{created: after.CreatedAt.UnixNano(), id: after.ID}, newestFirst)
}

// firstByURL finds the first webhooks behind a place in the order of their URLs. Of all others it
// has those of one step in memory at a time.
func (e *Engine) firstByURL(ctx context.Context, tenant string, of *subscriptions, f *WebhookFilter, after WebhookPlace, limit int) (found FoundWebhooks, err error) {
	behind := &Webhook{CreatedAt: after.CreatedAt, ID: after.ID, URL: after.URL}
	for step, rest := of.readStep(), of.list.rest(false); !rest.isEmpty(); {
		some := rest.take(step.size())
		webhooks, err := e.readSome(ctx, tenant, &step, f.enabled(some))
		if err != nil {
			return FoundWebhooks{}, err
		}
		for _, w := range webhooks {
			if f.Matches(w) && (after == WebhookPlace{} || byURL(w, behind) > 0) {
				at, _ := slices.BinarySearchFunc(found.Webhooks, w, byURL)
				found.Webhooks = slices.Insert(found.Webhooks, at, w)
			}
			if len(found.Webhooks) > limit {
				found.Webhooks[limit] = nil
				found.Webhooks, found.More = found.Webhooks[:limit], true
			}
		}
	}
	if len(found.Webhooks) > 0 {
		last := found.Webhooks[len(found.Webhooks)-1]
		found.Next = last.place()
		found.Next.URL = last.URL
	}
	return found, nil
}

func byURL(a, b *Webhook) int { return cmp.Or(strings.Compare(a.URL, b.URL), OldestFirst(a, b)) }
