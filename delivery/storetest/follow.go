package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// follow follows a tenant's log until the test ends.
func (f *fixture) follow(tenant, after string) delivery.Follower {
	f.Helper()
	return f.followOn(f.store, tenant, after)
}

func (f *fixture) followOn(store delivery.Store, tenant, after string) delivery.Follower {
	f.Helper()
	follower, err := store.Follow(f.Context(), tenant, after)
	f.must(err)
	f.Cleanup(follower.Close)
	return follower
}

// next reads n requests.
func (f *fixture) next(follower delivery.Follower, n int) []delivery.Written {
	f.Helper()
	ctx, cancel := context.WithTimeout(f.Context(), patience)
	defer cancel()
	var all []delivery.Written
	for len(all) < n {
		more, err := follower.Next(ctx)
		if err != nil || len(more) == 0 {
			f.Fatalf("%d requests and %v after %d, want %d", len(more), err, len(all), n)
		}
		all = append(all, more...)
		if last := all[len(all)-1].Position; follower.Position() != last {
			f.Fatalf("the follower is at %q, behind %q", follower.Position(), last)
		}
	}
	return all
}

// wantNext fails the test unless a follower reads exactly these requests.
func (f *fixture) wantNext(follower delivery.Follower, want ...uuid.UUID) []delivery.Written {
	f.Helper()
	all := f.next(follower, len(want))
	if got := writtenIDs(all); !slices.Equal(got, want) {
		f.Fatalf("the follower got\n%v, want\n%v", got, want)
	}
	return all
}

func writtenIDs(all []delivery.Written) []uuid.UUID {
	var ids []uuid.UUID
	for i := range all {
		ids = append(ids, all[i].ID)
	}
	return ids
}

// logged writes n rows, in one batch.
func (f *fixture) logged(w *delivery.Webhook, n int) []uuid.UUID {
	f.Helper()
	outcomes := f.reruns(w, n)
	f.complete(outcomes...)
	ids := make([]uuid.UUID, n)
	for i := range outcomes {
		ids[i] = outcomes[i].Request.ID
	}
	return ids
}

// reruns makes requests outside the schedule.
func (f *fixture) reruns(w *delivery.Webhook, n int) []delivery.Outcome {
	job := &delivery.Job{Webhook: w, Event: &delivery.Event{
		Tenant: w.Tenant, ID: delivery.NewID(f.store.Now()), Type: "alert_active", ReceivedAt: f.store.Now(),
	}}
	outcomes := make([]delivery.Outcome, n)
	for i := range outcomes {
		outcomes[i] = manual(f.outcome(job), delivery.TriggerRerun)
	}
	return outcomes
}

// testFollow checks that followers get the rows of their tenant, as lists have them.
func testFollow(f *fixture) {
	w, other := f.webhook(tenant), f.webhook("other")
	f.logged(w, 2) // before anybody follows
	first, second, others := f.follow(tenant, ""), f.follow(tenant, ""), f.follow("other", "")
	position := first.Position()
	job := f.bornLeased(w, held)
	o := retried(f.outcome(job), f.store.Now().Add(time.Hour))
	theirs := f.reruns(other, 2)
	ours := f.reruns(w, 1)
	f.complete(theirs[0], o, theirs[1], ours[0])

	want := []uuid.UUID{o.Request.ID, ours[0].Request.ID}
	for _, follower := range []delivery.Follower{first, second, f.follow(tenant, position)} {
		rows := f.wantNext(follower, want...)
		page := f.pages(tenant, delivery.RequestFilter{EventID: job.Event.ID, Limit: 1})
		if len(page) != 1 || !reflect.DeepEqual(rows[0].Request, page[0]) {
			f.Errorf("followed:\n%+v, listed:\n%+v", rows[0].Request, page)
		}
	}
	f.wantNext(others, theirs[0].Request.ID, theirs[1].Request.ID)

	// They come in the order in which they ended, not by their ids.
	slow := f.reruns(w, 1)
	quick := f.logged(w, 3)
	f.complete(slow...)
	f.wantNext(first, append(quick, slow[0].Request.ID)...)
}

// testFollowRepeated writes the same rows again: nobody must see them twice.
func testFollowRepeated(f *fixture) {
	w := f.webhook(tenant)
	follower := f.follow(tenant, "")
	outcomes := f.reruns(w, 3)
	f.complete(outcomes[0], outcomes[0])
	f.complete(outcomes...)
	f.complete(outcomes...)
	last := f.logged(w, 1)
	f.wantNext(follower, outcomes[0].Request.ID, outcomes[1].Request.ID, outcomes[2].Request.ID, last[0])
}

// testFollowResume comes back at each position, also in the middle of a batch, while another
// tenant has requests, too.
func testFollowResume(f *fixture) {
	w, other := f.webhook(tenant), f.webhook("other")
	start := f.follow(tenant, "").Position()
	var want []uuid.UUID
	for n := range 6 {
		want = append(want, f.logged(w, n)...)
		f.logged(other, n)
	}
	all := f.wantNext(f.follow(tenant, start), want...)
	var back []delivery.Follower
	for i := range all {
		follower := f.follow(tenant, all[i].Position)
		f.wantNext(follower, want[i+1:]...)
		back = append(back, follower)
	}
	last := f.logged(w, 2)
	for _, follower := range back {
		f.wantNext(follower, last...)
	}
}

// testFollowIdle waits while another tenant's requests end. The position must advance, or the
// store would forget it.
func testFollowIdle(f *fixture) {
	w := f.webhook(tenant)
	follower := f.follow(tenant, "")
	before := follower.Position()
	for i := range 64 { // some are in the same partition, if a store has partitions
		f.logged(f.webhook(fmt.Sprint("other", i)), 1)
	}
	f.eventually("the place moves on", func() bool {
		ctx, cancel := context.WithTimeout(f.Context(), time.Millisecond)
		defer cancel()
		if rows, err := follower.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			f.Fatalf("%d requests, %v; want none", len(rows), err)
		}
		return follower.Position() != before
	})
	last := f.logged(w, 2)
	f.wantNext(f.follow(tenant, follower.Position()), last...)
	f.wantNext(follower, last...)
}

// testFollowGone deletes a webhook: nobody must see its requests any more.
func testFollowGone(f *fixture) {
	w, gone := f.webhook(tenant), f.webhook(tenant)
	start := f.follow(tenant, "").Position()
	kept := f.logged(w, 1)
	f.logged(gone, 2)
	f.must(f.store.DeleteWebhook(f.Context(), gone.Ref()))
	kept = append(kept, f.logged(w, 1)...)
	f.complete(f.reruns(gone, 1)...) // dropped
	kept = append(kept, f.logged(w, 1)...)
	f.wantNext(f.follow(tenant, start), kept...)
}

// testFollowEnd ends one follower with its context, which must not disturb the others.
func testFollowEnd(f *fixture) {
	w := f.webhook(tenant)
	stays := f.follow(tenant, "")
	leaves, err := f.store.Follow(f.Context(), tenant, "")
	f.must(err)
	ctx, cancel := context.WithCancel(f.Context())
	ended := make(chan error)
	go func() {
		_, err := leaves.Next(ctx)
		ended <- err
	}()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		f.Errorf("after the end of its context Next returns %v", err)
	}
	leaves.Close()
	f.wantNext(stays, f.logged(w, 1)...)
}

// testFollowLoad writes in several goroutines: every follower must see all requests in the
// same order, whether it stays or comes back again and again.
func testFollowLoad(f *fixture) {
	const writers, batches = 4, 30
	w, other := f.webhook(tenant), f.webhook("other")
	stays, position := f.follow(tenant, ""), f.follow(tenant, "").Position()
	var written [writers][]uuid.UUID
	var all sync.WaitGroup
	total := 0
	for i := range writers {
		var outcomes [][]delivery.Outcome
		for n := range batches {
			own := f.reruns(w, 1+(i+n)%5)
			for k := range own {
				written[i] = append(written[i], own[k].Request.ID)
			}
			outcomes = append(outcomes, append(f.reruns(other, n%3), own...))
		}
		total += len(written[i])
		all.Go(func() {
			for _, batch := range outcomes {
				if err := errors.Join(f.store.Complete(f.Context(), batch)...); err != nil {
					f.Error(err)
				}
			}
		})
	}
	var got []uuid.UUID
	for len(got) < total {
		follower, err := f.store.Follow(f.Context(), tenant, position)
		f.must(err)
		got = append(got, writtenIDs(f.next(follower, 1))...)
		position = follower.Position()
		follower.Close()
	}
	all.Wait()
	f.wantNext(stays, got...)
	for i := range written {
		own := slices.DeleteFunc(slices.Clone(got), func(id uuid.UUID) bool { return !slices.Contains(written[i], id) })
		if !slices.Equal(own, written[i]) {
			f.Errorf("a writer's requests came as\n%v, want\n%v", own, written[i])
		}
	}
}
