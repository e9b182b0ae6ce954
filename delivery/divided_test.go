package delivery_test

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
)

// divided is a store of several partitions, each of which fails by itself. The last
// character of a tenant's name is the number of its partition.
type divided struct {
	*flaky.Store // for what does not matter here
	parts        []*flaky.Store
}

func newDivided(n int) *divided {
	d := &divided{Store: flaky.New()}
	for range n {
		d.parts = append(d.parts, flaky.New())
	}
	return d
}

func (d *divided) Partitions() int { return len(d.parts) }

func (d *divided) Partition(tenant string) int { return int(tenant[len(tenant)-1] - '0') }

func (d *divided) of(tenant string) *flaky.Store { return d.parts[d.Partition(tenant)] }

func (d *divided) Ping(ctx context.Context, partition int) error {
	return d.parts[partition].Ping(ctx, 0)
}

func (d *divided) Accept(ctx context.Context, batch delivery.AcceptBatch) []delivery.Accepted {
	return d.of(batch.Calls[0].Tenant).Accept(ctx, batch)
}

func (d *divided) Claim(ctx context.Context, partition int, room delivery.Room) (delivery.Claimed, error) {
	return d.parts[partition].Claim(ctx, 0, room)
}

func (d *divided) Complete(ctx context.Context, outcomes []delivery.Outcome) []error {
	return d.of(outcomes[0].Request.Tenant).Complete(ctx, outcomes)
}

func (d *divided) Release(ctx context.Context, leases []delivery.Lease) error {
	return d.of(leases[0].Webhook.Tenant).Release(ctx, leases)
}

func (d *divided) WebhookPage(ctx context.Context, tenant, after string) (delivery.WebhookPage, error) {
	return d.of(tenant).WebhookPage(ctx, tenant, after)
}

func (d *divided) WebhookChanges(ctx context.Context, tenant string, since int64) (delivery.WebhookChanges, error) {
	return d.of(tenant).WebhookChanges(ctx, tenant, since)
}

func (d *divided) WebhooksOf(ctx context.Context, tenant string, ids []uuid.UUID) ([]*delivery.Webhook, int64, error) {
	return d.of(tenant).WebhooksOf(ctx, tenant, ids)
}

func (d *divided) Webhook(ctx context.Context, ref delivery.WebhookRef) (*delivery.Webhook, int64, error) {
	return d.of(ref.Tenant).Webhook(ctx, ref)
}

func (d *divided) CreateWebhook(ctx context.Context, w *delivery.Webhook, most int, audit ...*delivery.AuditEntry) error {
	return d.of(w.Tenant).CreateWebhook(ctx, w, most, audit...)
}

func (d *divided) UpdateWebhook(ctx context.Context, w *delivery.Webhook, version int64, audit ...*delivery.AuditEntry) error {
	return d.of(w.Tenant).UpdateWebhook(ctx, w, version, audit...)
}

func (d *divided) Event(ctx context.Context, tenant string, id uuid.UUID) (*delivery.Event, []delivery.Delivery, error) {
	return d.of(tenant).Event(ctx, tenant, id)
}

func (d *divided) Requests(ctx context.Context, tenant string, filter delivery.RequestFilter) (delivery.RequestPage, error) {
	return d.of(tenant).Requests(ctx, tenant, filter)
}

// hung makes every operation of a partition take as long as its caller may wait, and fail.
func hung(string) error {
	time.Sleep(5 * time.Second)
	return errLost
}
