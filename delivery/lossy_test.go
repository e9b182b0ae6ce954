package delivery_test

import (
	"context"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
)

// lossy is a store whose next answers to Accept are lost on the way.
type lossy struct {
	*flaky.Store
	carryOut bool // whether the store carries out those Accepts all the same
	losses   int
}

func (l *lossy) lose(n int) { l.losses = n }

func (l *lossy) Accept(ctx context.Context, batch delivery.AcceptBatch) []delivery.Accepted {
	if l.losses == 0 {
		return l.Store.Accept(ctx, batch)
	}
	l.losses--
	if l.carryOut {
		l.Store.Accept(ctx, batch)
	}
	results := make([]delivery.Accepted, len(batch.Calls))
	for i := range results {
		results[i].Err = errLost
	}
	return results
}
