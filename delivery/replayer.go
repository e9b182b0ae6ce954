package delivery

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/backoff"
)

const (
	// replayWindow is how many deliveries of a replay are noted to be sent next. What is noted
	// may be sent; what is not is never sent: so whoever goes on with the replay knows of which
	// deliveries it has to ask the log whether they were.
	replayWindow = 400
	// saveReplayEvery is how often the progress is written while there is any.
	saveReplayEvery = time.Second
	saveReplayTime  = 5 * time.Second
	// leaveTime is for how long whoever stops tries to save.
	leaveTime = time.Second
	// A replay that can do nothing looks again so often.
	idleReplay = 100 * time.Millisecond
	// A step that fails is tried again after replayBackoff at first, and after maxReplayBackoff in
	// the end.
	replayBackoff    = 50 * time.Millisecond
	maxReplayBackoff = 5 * time.Second
)

// replayer works off one replay, which its process holds.
type replayer struct {
	engine    *Engine
	partition *partition
	holder    uuid.UUID
	until     time.Time // when the lease ends, by the monotonic clock

	replay     *Replay
	unsent     []ReplayedDelivery // those of replay.Sending that have not begun
	of         map[uuid.UUID]int  // how many of replay.Sending are of a webhook
	inFlight   int
	perWebhook map[uuid.UUID]int           // of those in flight
	turns      map[uuid.UUID]chan struct{} // of capacity 1, of their webhooks: see awaitTurn
	took       map[uuid.UUID]bool          // events of deliveries that another holder may have sent
	ended      chan replayed

	stopping context.Context // ends when nothing more may begin
	noMore   context.CancelFunc
	place    context.Context // ends when the replay is to be left to others
	leaveIt  context.CancelFunc
	claimed  time.Time
	expiry   *time.Timer // leaves it when the lease ends: somebody else may have it then

	searched time.Time // when what is noted last let the search go on

	saved   time.Time // when it was last saved
	changed bool      // since then
	noted   bool      // all of replay.Sending is in the store
	lost    bool      // somebody else has it
	again   backoff.Backoff
	reached bool // the step that runs has had an answer from the store
}

func newReplayer(e *Engine, p *partition, replay *Replay, holder uuid.UUID, until time.Time) *replayer {
	r := &replayer{
		engine: e, partition: p, holder: holder, until: until,
		replay: replay, unsent: slices.Clone(replay.Sending), noted: true, saved: time.Now(),
		perWebhook: make(map[uuid.UUID]int), turns: make(map[uuid.UUID]chan struct{}), took: make(map[uuid.UUID]bool),
		of: make(map[uuid.UUID]int), searched: time.Now(), ended: make(chan replayed, replayWindow+MaxPage),
		again: backoff.Backoff{First: replayBackoff, Most: maxReplayBackoff},
	}
	r.stopping, r.noMore = context.WithCancel(e.alive)
	r.place, r.leaveIt = context.WithCancel(context.Background())
	r.claimed, r.expiry = r.saved, time.AfterFunc(time.Until(until), r.giveUp)
	for _, d := range replay.Sending {
		r.took[d.EventID] = true
		r.of[d.WebhookID]++
	}
	return r
}

// run works off the replay, until it has ended, somebody else has it, or the context ends.
func (r *replayer) run(ctx context.Context) {
	defer r.noMore()
	defer r.leaveIt()
	defer r.expiry.Stop()
	end := context.AfterFunc(ctx, r.noMore)
	defer end()
	for ctx.Err() == nil && r.place.Err() == nil && !r.lost && r.replay.State == ReplayRunning {
		r.reached = false
		if err := r.step(ctx); err != nil && ctx.Err() == nil {
			r.fail(err)
			_ = r.again.Wait(r.stopping)
			_ = r.saveInTime(ctx) // the lease must last while something else fails
			continue
		}
		if r.reached {
			r.recover()
		}
	}
	r.leave(ctx)
}

// giveUp has nothing more begin, and leaves the replay to others.
func (r *replayer) giveUp() {
	r.leaveIt()
	r.noMore()
}

// step does what there is to do, and waits a while if that is nothing.
func (r *replayer) step(ctx context.Context) error {
	if r.stopping.Err() != nil && ctx.Err() == nil { // it was canceled here
		err := r.save(ctx)
		if err == nil && r.replay.State == ReplayRunning { // the store has lost that
			err = backoff.Sleep(ctx, idleReplay)
		}
		return err
	}
	d := r.replay
	switch {
	case !d.Counted:
		if err := r.engine.countSome(ctx, d); err != nil {
			return err
		}
		r.changed, r.reached = true, true
		if !d.Counted {
			return r.saveInTime(ctx)
		}
		return r.save(ctx) // whoever asked waits for it
	case !d.Searched || len(d.Apart) > 0:
		if err := r.search(ctx); err != nil {
			return err
		}
	case len(d.Sending) == 0:
		return r.finish(ctx)
	}
	if !r.noted {
		if err := r.save(ctx); err != nil {
			return err
		}
	}
	r.begin()
	r.wait(ctx)
	return r.saveInTime(ctx)
}

// begin begins as many deliveries as there may be.
func (r *replayer) begin() {
	s := r.engine.settings()
	most, perWebhook := min(max(1, s.Concurrency/replayShare), cap(r.ended)), max(1, s.ConcurrencyPerWebhook/replayShare)
	if time.Until(r.until) < r.engine.active.Load().lease()/2 { // somebody else may have it soon
		return
	}
	waiting := r.unsent[:0]
	for i, d := range r.unsent {
		if r.inFlight >= most {
			waiting = append(waiting, r.unsent[i:]...)
			break
		}
		if r.perWebhook[d.WebhookID] >= perWebhook {
			waiting = append(waiting, d)
			continue
		}
		r.inFlight++
		r.perWebhook[d.WebhookID]++
		check := r.took[d.EventID]
		turn := r.turns[d.WebhookID]
		if turn == nil {
			turn = make(chan struct{}, 1)
			r.turns[d.WebhookID] = turn
		}
		r.engine.starts.add()
		go func() {
			defer r.engine.starts.done()
			r.ended <- replayed{d, r.engine.replayOne(r.stopping, r.replay.Tenant, r.replay.CreatedAt(), d, check, turn)}
		}()
	}
	r.unsent = waiting
}

// wait waits until deliveries have ended, or for a while.
func (r *replayer) wait(ctx context.Context) {
	if len(r.ended) == 0 {
		timer := time.NewTimer(idleReplay)
		defer timer.Stop()
		select {
		case d := <-r.ended:
			r.count(d)
		case <-timer.C:
			return
		case <-r.stopping.Done():
			return
		case <-ctx.Done():
			return
		}
	}
	for len(r.ended) > 0 {
		r.count(<-r.ended)
	}
}

// count counts a delivery that has ended.
func (r *replayer) count(d replayed) {
	r.inFlight--
	if r.perWebhook[d.delivery.WebhookID]--; r.perWebhook[d.delivery.WebhookID] == 0 {
		delete(r.perWebhook, d.delivery.WebhookID)
		delete(r.turns, d.delivery.WebhookID)
	}
	switch d.how {
	case replayUnknown: // it stays among those that may have been sent
		return
	case replaySucceeded:
		r.replay.Succeeded++
	case replayFailed:
		r.replay.Failed++
	}
	r.replay.Done++
	r.replay.Total = max(r.replay.Total, r.replay.Done)
	if i := slices.Index(r.replay.Sending, d.delivery); i >= 0 {
		r.replay.Sending = slices.Delete(r.replay.Sending, i, i+1)
		if r.of[d.delivery.WebhookID]--; r.of[d.delivery.WebhookID] == 0 {
			delete(r.of, d.delivery.WebhookID)
		}
	}
	r.changed = true
}

// finish ends the replay. Deliveries that were counted, and were not found any more, have been sent
// by somebody else, or are gone: they are passed over.
func (r *replayer) finish(ctx context.Context) error {
	d := *r.replay
	d.Done, d.State = d.Total, ReplayDone
	d.FinishedAt = r.engine.store.Now().UTC().Truncate(time.Millisecond)
	before := r.replay
	r.replay = &d
	err := r.save(ctx)
	if err != nil {
		r.replay = before
	}
	return err
}

// saveInTime saves what has changed, and renews the lease.
func (r *replayer) saveInTime(ctx context.Context) error {
	since := time.Since(r.saved)
	if r.changed && since >= saveReplayEvery || since >= r.engine.active.Load().lease()/4 {
		return r.save(ctx)
	}
	return nil
}

// save writes how far the replay has come.
func (r *replayer) save(ctx context.Context) error {
	began, lease := time.Now(), r.engine.active.Load().lease()
	state, err := r.saveFor(ctx, lease)
	if errors.Is(err, ErrReplayLost) {
		r.lost = true
		return nil
	}
	if err != nil {
		return err
	}
	r.reached = true
	r.expiry.Reset(time.Until(began.Add(lease)))
	r.until, r.saved, r.changed, r.noted = began.Add(lease), began, false, true
	if state != ReplayRunning && r.replay.State == ReplayRunning {
		r.replay.State = state
	}
	return nil
}

func (r *replayer) saveFor(ctx context.Context, lease time.Duration) (ReplayState, error) {
	ctx, cancel := context.WithTimeout(ctx, saveReplayTime)
	defer cancel()
	return r.engine.store.SaveReplay(ctx, r.replay, r.holder, lease, r.engine.settings().Retention)
}

// leave ends the work. What is in flight when a replay was canceled, or is left to others, is waited
// for, and counted. When
// this process stops, it is not: then the lease stays, so that nobody sends it again before it has
// ended.
func (r *replayer) leave(ctx context.Context) {
	r.noMore()
	canceled := r.replay.State == ReplayCanceled
	wait := canceled || r.place.Err() != nil
	for r.inFlight > 0 && wait && ctx.Err() == nil && r.engine.alive.Err() == nil {
		select {
		case d := <-r.ended:
			r.count(d)
		case <-ctx.Done():
		}
	}
	for len(r.ended) > 0 {
		r.count(<-r.ended)
	}
	if r.lost || r.replay.State == ReplayDone || canceled && !r.changed {
		return
	}
	lease := time.Duration(0)
	if r.inFlight > 0 {
		lease = max(0, time.Until(r.until))
	}
	if canceled {
		r.replay.Sending, r.replay.Apart = nil, nil
	}
	limited, cancel := context.WithTimeout(r.engine.alive, leaveTime)
	defer cancel()
	if _, err := r.saveFor(limited, lease); err != nil && !errors.Is(err, ErrReplayLost) {
		r.fail(err)
	}
}

// fail says once that the replay cannot go on.
func (r *replayer) fail(err error) {
	if r.partition.replayers.setFailing(r.replay.ID, true) {
		r.engine.log().Error("a replay cannot go on; it does when the store works again", append(r.fields(), zap.Error(err))...)
	}
}

// recover says that it goes on.
func (r *replayer) recover() {
	r.again.Reset()
	if r.partition.replayers.setFailing(r.replay.ID, false) {
		r.engine.log().Info("the replay goes on", r.fields()...)
	}
}

func (r *replayer) fields() []zap.Field {
	return []zap.Field{zap.String("tenant", r.replay.Tenant), zap.Stringer("replay_id", r.replay.ID)}
}
