package caddymodule_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/caddymodule"
	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

func init() { caddy.RegisterModule(new(observedModule)) }

// observedModule is the store observed of a Caddyfile: the one in observed.
type observedModule struct{}

// observed is the store that the module makes. A test sets it before it starts a site.
var observed *observedStore

func (*observedModule) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "webhooks.stores.observed", New: func() caddy.Module { return new(observedModule) }}
}

func (*observedModule) Identity() string                                { return fmt.Sprintf("observed %p", observed) }
func (*observedModule) NewStore(*zap.Logger) (delivery.Store, error)    { return observed, nil }
func (*observedModule) Use(delivery.Store)                              {}
func (*observedModule) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { d.Next(); return nil }

var _ caddymodule.StoreModule = (*observedModule)(nil)

// observedStore notes the operations that calls of the API do.
type observedStore struct {
	delivery.Store

	mu    sync.Mutex
	calls []string
}

func (s *observedStore) note(call string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, call)
}

// take returns what has been noted since it was called before.
func (s *observedStore) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

// ofTheEngine are the operations that are done for no call of the API, but in the background.
var ofTheEngine = []string{
	"Open", "Close", "Partitions", "Partition", "Ping", "SetAside", "Now", "Claim", "Complete", "Release", "Pending", "CountStored",
	"DeclaredWebhooks", "MarkReceived", "Sweep",
	"ClaimReplays", "SaveReplay",
}

// TestObservedStore looks whether the store notes all that it should.
func TestObservedStore(t *testing.T) {
	s := &observedStore{Store: panicking{}}
	for method := range reflect.TypeFor[delivery.Store]().Methods() {
		s.take()
		func() {
			defer func() { _ = recover() }()
			args := make([]reflect.Value, method.Type.NumIn())
			for i := range args {
				args[i] = reflect.Zero(method.Type.In(i))
			}
			call := reflect.ValueOf(s).MethodByName(method.Name)
			if method.Type.IsVariadic() {
				call.CallSlice(args)
			} else {
				call.Call(args)
			}
		}()
		if noted := len(s.take()) == 1; noted == slices.Contains(ofTheEngine, method.Name) {
			t.Errorf("%s: noted is %t", method.Name, noted)
		}
	}
}

// panicking is a store of which nothing must be called.
type panicking struct{ delivery.Store }

func (s *observedStore) NoteEventTypes(ctx context.Context, tenant string, types []string, retention time.Duration) error {
	s.note(fmt.Sprint("NoteEventTypes ", len(types)))
	return s.Store.NoteEventTypes(ctx, tenant, types, retention)
}

func (s *observedStore) Accept(ctx context.Context, batch delivery.AcceptBatch) []delivery.Accepted {
	s.note(fmt.Sprint("Accept ", len(batch.Calls)))
	return s.Store.Accept(ctx, batch)
}

func (s *observedStore) EraseEvent(ctx context.Context, tenant string, id uuid.UUID) error {
	s.note("EraseEvent")
	return s.Store.EraseEvent(ctx, tenant, id)
}

func (s *observedStore) Events(ctx context.Context, tenant string, filter delivery.EventFilter) (delivery.EventPage, error) {
	s.note(fmt.Sprint("Events ", filter.Limit))
	return s.Store.Events(ctx, tenant, filter)
}

func (s *observedStore) WebhookPage(ctx context.Context, tenant, after string) (delivery.WebhookPage, error) {
	s.note("WebhookPage")
	return s.Store.WebhookPage(ctx, tenant, after)
}

func (s *observedStore) WebhookChanges(ctx context.Context, tenant string, since int64) (delivery.WebhookChanges, error) {
	s.note("WebhookChanges")
	return s.Store.WebhookChanges(ctx, tenant, since)
}

func (s *observedStore) WebhooksOf(ctx context.Context, tenant string, ids []uuid.UUID) ([]*delivery.Webhook, int64, error) {
	s.note(fmt.Sprint("WebhooksOf ", len(ids)))
	return s.Store.WebhooksOf(ctx, tenant, ids)
}

func (s *observedStore) Webhook(ctx context.Context, ref delivery.WebhookRef) (*delivery.Webhook, int64, error) {
	s.note("Webhook")
	return s.Store.Webhook(ctx, ref)
}

func (s *observedStore) CreateWebhook(ctx context.Context, w *delivery.Webhook, most int, audit ...*delivery.AuditEntry) error {
	s.note("CreateWebhook")
	return s.Store.CreateWebhook(ctx, w, most, audit...)
}

func (s *observedStore) UpdateWebhook(ctx context.Context, w *delivery.Webhook, version int64, audit ...*delivery.AuditEntry) error {
	s.note("UpdateWebhook")
	return s.Store.UpdateWebhook(ctx, w, version, audit...)
}

func (s *observedStore) DeleteWebhook(ctx context.Context, ref delivery.WebhookRef, audit ...*delivery.AuditEntry) error {
	s.note("DeleteWebhook")
	return s.Store.DeleteWebhook(ctx, ref, audit...)
}

func (s *observedStore) WriteAuditEntry(ctx context.Context, entry *delivery.AuditEntry) error {
	s.note("WriteAuditEntry")
	return s.Store.WriteAuditEntry(ctx, entry)
}

func (s *observedStore) AuditEntries(ctx context.Context, tenant string, filter delivery.AuditFilter) (delivery.AuditPage, error) {
	s.note("AuditEntries")
	return s.Store.AuditEntries(ctx, tenant, filter)
}

func (s *observedStore) Event(ctx context.Context, tenant string, id uuid.UUID) (*delivery.Event, []delivery.Delivery, error) {
	s.note("Event")
	return s.Store.Event(ctx, tenant, id)
}

func (s *observedStore) Request(ctx context.Context, tenant string, id uuid.UUID) (*delivery.Request, error) {
	s.note("Request")
	return s.Store.Request(ctx, tenant, id)
}

func (s *observedStore) Requests(ctx context.Context, tenant string, filter delivery.RequestFilter) (delivery.RequestPage, error) {
	s.note("Requests")
	return s.Store.Requests(ctx, tenant, filter)
}

func (s *observedStore) Follow(ctx context.Context, tenant, after string) (delivery.Follower, error) {
	s.note("Follow")
	return s.Store.Follow(ctx, tenant, after)
}

func (s *observedStore) RequestCounts(ctx context.Context, tenant string, since time.Time) ([]delivery.RequestCount, error) {
	s.note("RequestCounts")
	return s.Store.RequestCounts(ctx, tenant, since)
}

func (s *observedStore) WebhookRequests(ctx context.Context, tenant string, webhooks []uuid.UUID, since time.Time) ([]delivery.WebhookRequests, error) {
	s.note(fmt.Sprint("WebhookRequests ", len(webhooks)))
	return s.Store.WebhookRequests(ctx, tenant, webhooks, since)
}

func (s *observedStore) WebhookPending(ctx context.Context, tenant string, webhooks []uuid.UUID) ([]int64, error) {
	s.note(fmt.Sprint("WebhookPending ", len(webhooks)))
	return s.Store.WebhookPending(ctx, tenant, webhooks)
}

func (s *observedStore) Resend(ctx context.Context, tenant string, id uuid.UUID) (*delivery.Webhook, *delivery.Event, error) {
	s.note("Resend")
	return s.Store.Resend(ctx, tenant, id)
}

func (s *observedStore) AddDelivery(ctx context.Context, ref delivery.WebhookRef, id uuid.UUID) (*delivery.Event, bool, error) {
	s.note("AddDelivery")
	return s.Store.AddDelivery(ctx, ref, id)
}

func (s *observedStore) Standing(ctx context.Context, tenant string, rows []delivery.Request) ([]delivery.Delivery, error) {
	s.note(fmt.Sprint("Standing ", len(rows)))
	return s.Store.Standing(ctx, tenant, rows)
}

func (s *observedStore) Untried(ctx context.Context, ref delivery.WebhookRef, after string) (delivery.UntriedPage, error) {
	s.note("Untried")
	return s.Store.Untried(ctx, ref, after)
}

func (s *observedStore) Take(ctx context.Context, ref delivery.WebhookRef, event uuid.UUID, lease time.Duration) (delivery.Job, error) {
	s.note("Take")
	return s.Store.Take(ctx, ref, event, lease)
}

func (s *observedStore) CreateReplay(ctx context.Context, r *delivery.Replay, retention time.Duration) error {
	s.note("CreateReplay")
	return s.Store.CreateReplay(ctx, r, retention)
}

func (s *observedStore) Replays(ctx context.Context, tenant string) ([]delivery.Replay, error) {
	s.note("Replays")
	return s.Store.Replays(ctx, tenant)
}

func (s *observedStore) CancelReplay(ctx context.Context, tenant string, id uuid.UUID) error {
	s.note("CancelReplay")
	return s.Store.CancelReplay(ctx, tenant, id)
}

func (s *observedStore) TakeStart(ctx context.Context, ref delivery.WebhookRef, free bool) (time.Duration, error) {
	s.note("TakeStart")
	return s.Store.TakeStart(ctx, ref, free)
}
