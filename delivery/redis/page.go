package redis

import (
	"bytes"
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

const (
	// workPerScript is how much a script does of a read that may take long. A command is 1: it
	// takes some milliseconds, for which Redis does nothing else.
	workPerScript = 2000
	// skippedRows is how many rows of deleted webhooks a page skips.
	skippedRows = 2000
)

// pageQuery reads a page of the log, by as many scripts as it takes.
type pageQuery struct {
	store         *Store
	partition     *partition
	tenant        string
	log           string // whose: the tenant or a reference
	filter        *delivery.RequestFilter
	first, before uuid.UUID
	page          delivery.RequestPage
	looked        delivery.Looked
}

// run reads until the page is full, or enough was skipped.
func (q *pageQuery) run(ctx context.Context) error {
	wanted, skipped := q.filter.Limit+1, 0 // one id more tells whether there is another page
	if q.filter.LooksInto() {
		wanted = delivery.MaxPage + 1
	}
	for ; ; wanted = delivery.MaxPage + 1 { // more will be skipped
		q.page.Next = uuid.Nil
		ids, err := q.find(ctx, wanted)
		if err != nil || len(ids) == 0 {
			return err
		}
		rows, err := q.store.rows(ctx, q.partition, q.tenant, ids)
		if err != nil || q.add(rows) {
			return err
		}
		if len(ids) < wanted {
			return nil
		}
		q.before = ids[len(ids)-1]
		q.page.Next = q.before
		if skipped += len(ids) - len(rows); skipped >= skippedRows || len(q.page.Requests) == q.filter.Limit {
			return nil
		}
	}
}

// add adds those of the next rows that the filter selects, and reports whether the page ends
// before they do.
func (q *pageQuery) add(rows []delivery.Request) (ended bool) {
	for i := range rows {
		if len(q.page.Requests) == q.filter.Limit {
			q.page.Next = q.before
			return true
		}
		if q.filter.Matches(&rows[i]) { // event types for which there was no number left share one
			q.page.Requests = append(q.page.Requests, rows[i])
		}
		q.before = rows[i].ID
		if q.looked.Add(&rows[i], 0); q.looked.Far() {
			q.page.Next = q.before
			return true
		}
	}
	return false
}

// find finds the newest ids before the given one, in their order.
func (q *pageQuery) find(ctx context.Context, wanted int) (ids []uuid.UUID, err error) {
	status, first := "", q.first
	if q.filter.Status != "" {
		status = string(statusByte(q.filter.Status))
	}
	for goOn := []any(nil); ; {
		args := append([]any{q.log, q.filter.EventType, status, first[:], q.before[:], wanted, len(ids), q.store.work}, goOn...)
		reply, err := q.store.run(ctx, requestsScript, q.partition.base, args...)
		if err != nil {
			return nil, err
		}
		if len(reply) < 3 {
			return nil, errUnknownReply
		}
		if ids = newestIDs(ids, reply[3:], wanted); len(ids) == wanted {
			first = ids[wanted-1] // older ones do not matter
		}
		if goOn = reply[1:3]; goOn[0] == "" {
			return ids, nil
		}
	}
}

// newestIDs adds the ids in members of the index, and returns the newest of all.
func newestIDs(ids []uuid.UUID, members []any, most int) []uuid.UUID {
	for _, m := range members {
		if member, _ := m.(string); len(member) == memberSize { // else it is no member of ours
			ids = append(ids, uuid.UUID([]byte(member[memberSize-len(uuid.UUID{}):])))
		}
	}
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return bytes.Compare(b[:], a[:]) })
	ids = slices.Compact(ids)
	return ids[:min(most, len(ids))]
}
