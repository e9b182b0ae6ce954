// Command ogen calls the API with the client that ogen generates.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/go-faster/jx"
	"github.com/ogen-go/ogen/ogenerrors"

	"clients/ogen/gen"
)

// tokens sends the same token with every call.
type tokens string

func (t tokens) Bearer(context.Context, gen.OperationName) (gen.Bearer, error) {
	return gen.Bearer{Token: string(t)}, nil
}

func (tokens) Basic(context.Context, gen.OperationName) (gen.Basic, error) {
	return gen.Basic{}, ogenerrors.ErrSkipClientSecurity
}

// The arguments are the URL of the API, a token, and the URL of an endpoint.
func main() {
	log.SetFlags(0)
	if err := run(context.Background(), os.Args[1], os.Args[2], os.Args[3]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, url, token, endpoint string) error {
	c, err := gen.NewClient(url, tokens(token))
	if err != nil {
		return err
	}
	created, err := want[*gen.WebhookHeaders](c.CreateWebhook(ctx, &gen.NewWebhook{
		URL: endpoint, Secret: gen.NewOptNilString("a secret"), EventTypes: []gen.WantedEventType{"group_created"},
	}))
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	id := created.Response.ID
	patch := &gen.ChangeWebhookApplicationMergePatchJSON{Description: gen.NewOptNilString("changed"), EventTypes: []gen.WantedEventType{"*"}}
	patch.Secret.SetToNull()
	changed, err := want[*gen.Webhook](c.ChangeWebhook(ctx, patch, gen.ChangeWebhookParams{ID: id}))
	if err != nil || changed.HasSecret || changed.Description != "changed" || !created.Response.HasSecret {
		return fmt.Errorf("change: %+v, %w", changed, err)
	}
	one := gen.NewEvent{EventType: gen.EventTypeNameGroupCreated, Data: gen.NewEventData{"n": jx.Raw(`1.50`), "in": jx.Raw(`{"a":[null]}`)}}
	receipt, err := want[*gen.Receipts](c.EmitEvents(ctx, gen.NewNewEventEmit(one)))
	if err != nil || receipt.Receipt.Deliveries != 1 {
		return fmt.Errorf("emit: %+v, %w", receipt, err)
	}
	many := []gen.NewEvent{one, {EventType: "group_deleted", OccurredAt: gen.NewOptDateTime(time.Unix(0, 0).UTC()), Data: gen.NewEventData{}}}
	receipts, err := want[*gen.Receipts](c.EmitEvents(ctx, gen.NewNewEventArrayEmit(many)))
	if err != nil || len(receipts.ReceiptArray) != 2 {
		return fmt.Errorf("emit two: %+v, %w", receipts, err)
	}
	event, err := want[*gen.Event](c.GetEvent(ctx, gen.GetEventParams{ID: receipt.Receipt.EventID}))
	if err != nil || string(event.Data.Value["n"]) != "1.50" {
		return fmt.Errorf("event: %+v, %w", event, err)
	}
	webhooks, err := want[*gen.WebhookList](c.ListWebhooks(ctx, gen.ListWebhooksParams{}))
	if err != nil || len(webhooks.Data) != 1 || webhooks.Data[0].ID != id {
		return fmt.Errorf("webhooks: %+v, %w", webhooks, err)
	}
	test, err := want[*gen.Request](c.TestWebhook(ctx, gen.OptTest{}, gen.TestWebhookParams{ID: id}))
	if err != nil || test.Status != gen.RequestStatusSuccess || !test.Attempt.Null {
		return fmt.Errorf("test: %+v, %w", test, err)
	}
	rows, err := want[*gen.RequestList](c.ListRequests(ctx, gen.ListRequestsParams{WebhookID: gen.NewOptUUID(id), Limit: gen.NewOptInt(1)}))
	if err != nil || len(rows.Data) != 1 || rows.Data[0].WebhookID != id {
		return fmt.Errorf("requests: %+v, %w", rows, err)
	}
	// A refusal comes as a problem.
	if _, err := want[*gen.CreateWebhookUnprocessableEntity](c.CreateWebhook(ctx, &gen.NewWebhook{URL: "ftp://x"})); err != nil {
		return fmt.Errorf("refused: %w", err)
	}
	return nil
}

// want narrows a response.
func want[T any](response any, err error) (T, error) {
	narrow, ok := response.(T)
	if err == nil && !ok {
		err = fmt.Errorf("the response is %T %+v", response, response)
	}
	return narrow, err
}
