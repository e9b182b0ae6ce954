package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// replayInput says which deliveries are to be sent again.
type replayInput struct {
	WebhookID optional[string] `json:"webhook_id"`
	EventType optional[string] `json:"event_type"`
	Status    optional[string] `json:"status"`
	Since     optional[string] `json:"since"`
	Until     optional[string] `json:"until"`
	DryRun    optional[bool]   `json:"dry_run"`
}

// replayFilter is what was asked for, as responses and the audit log have it.
type replayFilter struct {
	WebhookID *uuid.UUID            `json:"webhook_id"`
	EventType *string               `json:"event_type"`
	Status    delivery.ReplayStatus `json:"status"`
	Since     time.Time             `json:"since"`
	Until     *time.Time            `json:"until"`
}

func newReplayFilter(f *delivery.ReplayFilter) replayFilter {
	return replayFilter{
		WebhookID: idOrNone(f.WebhookID), EventType: orNull(f.EventType), Status: f.Status, Since: f.Since.UTC(), Until: timeOrNull(f.Until),
	}
}

// replay is a replay as responses have it.
type replay struct {
	ID         uuid.UUID            `json:"id"`
	State      delivery.ReplayState `json:"state"`
	Total      int64                `json:"total"`
	Done       int64                `json:"done"`
	Succeeded  int64                `json:"succeeded"`
	Failed     int64                `json:"failed"`
	CreatedAt  time.Time            `json:"created_at"`
	FinishedAt *time.Time           `json:"finished_at"`
	replayFilter
}

func newReplay(r *delivery.Replay) replay {
	return replay{
		ID: r.ID, State: r.State, Total: r.Total, Done: r.Done, Succeeded: r.Succeeded, Failed: r.Failed,
		CreatedAt: r.CreatedAt(), FinishedAt: timeOrNull(r.FinishedAt), replayFilter: newReplayFilter(&r.Filter),
	}
}

type replayList struct {
	Data []replay `json:"data"`
}

// replayTotal is how many deliveries a replay would send again.
type replayTotal struct {
	Total int64 `json:"total"`
}

var replayStatuses = []delivery.ReplayStatus{delivery.ReplayFailed, delivery.ReplaySuccess, delivery.ReplayAny, delivery.ReplayMissed}

// createReplay handles POST /api/replays.
func createReplay(ctx context.Context, c *call) (response, error) {
	var in replayInput
	if err := decode(c.body, &in); err != nil {
		return response{}, err
	}
	f, err := in.filter()
	if err != nil {
		return response{}, err
	}
	if in.WebhookID.Set {
		if _, err := c.api.Engine.Webhook(ctx, delivery.WebhookRef{Tenant: c.Tenant, ID: f.WebhookID}); err != nil {
			return response{}, notFound(err, "webhook")
		}
	}
	if in.DryRun.Value {
		total, err := c.api.Engine.CountReplay(ctx, c.Tenant, f)
		return response{status: http.StatusOK, body: replayTotal{total}}, err
	}
	audit, err := c.auditReplay(delivery.ActionReplayStarted, &f)
	if err != nil {
		return response{}, err
	}
	r, err := c.api.Engine.StartReplay(ctx, c.Tenant, f, audit...)
	if err != nil {
		return response{}, err
	}
	return response{status: http.StatusAccepted, location: "replays/" + r.ID.String(), body: newReplay(r)}, nil
}

// filter reads what is asked for.
func (in *replayInput) filter() (f delivery.ReplayFilter, err error) {
	var errs fieldErrors
	f.Status = delivery.ReplayFailed
	if errs.given("webhook_id", in.WebhookID.Set, in.WebhookID.Null) {
		var ok bool
		if f.WebhookID, ok = parseID(in.WebhookID.Value); !ok {
			errs.add("webhook_id", "This must be a UUID of 36 characters.")
		}
	}
	if errs.given("event_type", in.EventType.Set, in.EventType.Null) {
		f.EventType = in.EventType.Value
		errs.check("event_type", checkEventType(f.EventType))
	}
	if errs.given("status", in.Status.Set, in.Status.Null) {
		if f.Status = delivery.ReplayStatus(in.Status.Value); !slices.Contains(replayStatuses, f.Status) {
			errs.add("status", "This must be failed, success, any or missed.")
		}
	}
	if f.Status == delivery.ReplayMissed && !in.WebhookID.Set {
		errs.add("webhook_id", "This is required with the status missed: the webhook that is to get what it has missed.")
	}
	if errs.required("since", in.Since.Set, in.Since.Null) {
		f.Since = boundOf("since", in.Since.Value, &errs)
	}
	if errs.given("until", in.Until.Set, in.Until.Null) {
		f.Until = boundOf("until", in.Until.Value, &errs)
		if !f.Since.IsZero() && !f.Until.IsZero() && !f.Until.After(f.Since) {
			errs.add("until", "This must be later than since.")
		}
	}
	errs.given("dry_run", in.DryRun.Set, in.DryRun.Null)
	return f, errs.problem()
}

func boundOf(field, value string, errs *fieldErrors) time.Time {
	t, ok := parseBound(value)
	if !ok {
		errs.add(field, "This must be an RFC 3339 time, such as 2026-03-13T18:30:00Z.")
	}
	return t
}

// auditReplay is audit for a replay: the entry has what was asked for.
func (c *call) auditReplay(action delivery.Action, f *delivery.ReplayFilter) ([]delivery.Audit, error) {
	audit := c.audit(action, uuid.Nil)
	if len(audit) == 0 {
		return nil, nil
	}
	asked, err := json.Marshal(newReplayFilter(f))
	if err != nil {
		return nil, err
	}
	for i, entry := range audit {
		audit[i] = func(before, after *delivery.Webhook) *delivery.AuditEntry {
			made := entry(before, after)
			made.After = asked
			return made
		}
	}
	return audit, nil
}

// listReplays handles GET /api/replays.
func listReplays(ctx context.Context, c *call) (response, error) {
	all, err := c.api.Engine.Replays(ctx, c.Tenant)
	if err != nil {
		return response{}, err
	}
	list := replayList{Data: make([]replay, len(all))}
	for i := range all {
		list.Data[i] = newReplay(&all[i])
	}
	return response{status: http.StatusOK, body: list}, nil
}

// getReplay handles GET /api/replays/{id}.
func getReplay(ctx context.Context, c *call) (response, error) {
	r, err := c.replay(ctx)
	if err != nil {
		return response{}, err
	}
	return response{status: http.StatusOK, body: newReplay(r)}, nil
}

// replay is the replay that the path names.
func (c *call) replay(ctx context.Context) (*delivery.Replay, error) {
	id, ok := c.id()
	if !ok {
		return nil, missing("replay")
	}
	r, err := c.api.Engine.Replay(ctx, c.Tenant, id)
	if err != nil {
		return nil, notFound(err, "replay")
	}
	return r, nil
}

// cancelReplay handles DELETE /api/replays/{id}.
func cancelReplay(ctx context.Context, c *call) (response, error) {
	r, err := c.replay(ctx)
	if err != nil {
		return response{}, err
	}
	audit, err := c.auditReplay(delivery.ActionReplayCanceled, &r.Filter)
	if err != nil {
		return response{}, err
	}
	if err := c.api.Engine.CancelReplay(ctx, c.Tenant, r.ID, audit...); err != nil {
		return response{}, notFound(err, "replay")
	}
	return response{status: http.StatusNoContent}, nil
}

// replays defines what the calls for replays take and answer.
func (b *schemas) replays() {
	in := define[replayInput](b, "NewReplay")
	in.Required = []string{"since"}
	b.set(in, "webhook_id", uuidSchema())
	b.member(in, "webhook_id").Description = "Only deliveries to this webhook."
	b.member(in, "event_type").Description = "Only deliveries of events of this type, which may be one that is no longer configured."
	b.member(in, "event_type").MinLength, b.member(in, "event_type").MaxLength = new(1), new(maxEventTypeLength)
	b.set(in, "status", enumSchema(replayStatuses...))
	b.member(in, "status").Description = "failed: deliveries that have failed for good and not succeeded since; success: those that have succeeded; any: all that have been attempted; missed, with webhook_id: the events that the webhook wants now, by its event types and its filter, and has no delivery of. Each of these gets one, which has failed until its request has succeeded. Default: failed."
	for name, what := range map[string]string{
		"since": "Only deliveries whose last request started at this time or later; of missed events, those that were received then.",
		"until": "Only deliveries whose last request started before this time; of missed events, those that were received before. Default: when the replay is created.",
	} {
		b.set(in, name, timeSchema())
		b.member(in, name).Description = what
	}
	b.member(in, "dry_run").Description = "Only count the deliveries. Default: false."

	r := defineOutput[replay](b, "Replay")
	b.enum(r, "state", delivery.ReplayRunning, delivery.ReplayDone, delivery.ReplayCanceled)
	b.set(r, "status", enumSchema(replayStatuses...))
	b.atLeast(r, 0, "total", "done", "succeeded", "failed")
	b.member(r, "total").Description = "How many deliveries there are to deal with. While a long log is still being read for that, so many were counted already."
	b.member(r, "done").Description = "How many of them were dealt with. Those of disabled or deleted webhooks, and those that somebody else has sent meanwhile, are passed over: they are neither succeeded nor failed."
	defineOutput[replayList](b, "ReplayList")
	b.atLeast(defineOutput[replayTotal](b, "ReplayTotal"), 0, "total")
}

// notFoundInBody says that a call is refused with 404 if its body names what is not there.
var notFoundInBody = []int{http.StatusNotFound, http.StatusConflict}

// replayDocs are those of operationDocs that are about replays.
var replayDocs = map[string]operationDoc{
	"POST api/replays": {
		id: "createReplay", summary: "Send many deliveries again",
		description: " Each is sent once, behind live traffic, with at most a quarter of the concurrency, and nothing is retried. The log has their requests with the trigger replay. " +
			"Refused with 409 while another replay of the tenant is running. The response waits a few seconds until the deliveries are counted. With dry_run they are only counted, however long that takes.",
		input: "NewReplay", status: http.StatusAccepted, output: "Replay", location: true, refusals: notFoundInBody,
		also: map[int]string{http.StatusOK: "ReplayTotal"},
	},
	"GET api/replays": {
		id: "listReplays", summary: "List replays, newest first", description: " At most 100.", status: http.StatusOK, output: "ReplayList",
	},
	"GET api/replays/*": {id: "getReplay", summary: "Read a replay, and how far it has come", status: http.StatusOK, output: "Replay"},
	"DELETE api/replays/*": {
		id: "cancelReplay", summary: "Cancel a replay: what has not begun is not sent",
		description: " What is in flight ends, and is counted. A replay that has ended is left as it is.", status: http.StatusNoContent,
	},
}
