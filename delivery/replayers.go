package delivery

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"
)

const (
	// replayEvery is how often a process looks for replays that nobody holds: of a process that
	// has died, one goes on after that and the lease.
	replayEvery = 10 * time.Second
	// maxReplayers is how many replays a process works off at a time, of one partition. If there are
	// more, one makes room for the others each replayEvery.
	maxReplayers = 16
)

// replayers are the replays of a partition that this process works off.
type replayers struct {
	mu sync.Mutex
	of map[uuid.UUID]*replayer
	// failing are those of which the log says that they cannot go on. Whoever claims one again
	// does not say it again.
	failing map[uuid.UUID]bool
}

// maxFailing is how many failing ones are remembered.
const maxFailing = 1000

// setFailing notes whether a replay is failing, and reports whether that is new.
func (r *replayers) setFailing(id uuid.UUID, failing bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failing[id] == failing {
		return false
	}
	if !failing {
		delete(r.failing, id)
		return true
	}
	if r.failing == nil || len(r.failing) >= maxFailing {
		r.failing = make(map[uuid.UUID]bool)
	}
	r.failing[id] = true
	return true
}

func (r *replayers) add(one *replayer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of == nil {
		r.of = make(map[uuid.UUID]*replayer)
	}
	r.of[one.replay.ID] = one
}

func (r *replayers) remove(one *replayer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of[one.replay.ID] == one {
		delete(r.of, one.replay.ID)
	}
}

// room is how many more there may be.
func (r *replayers) room() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maxReplayers - len(r.of)
}

// makeRoom has the replay left that was worked off here for the longest: it goes on when others
// that wait have had their turn.
func (r *replayers) makeRoom() {
	r.mu.Lock()
	defer r.mu.Unlock()
	var longest *replayer
	for _, one := range r.of {
		if one.place.Err() == nil && (longest == nil || one.claimed.Before(longest.claimed)) {
			longest = one
		}
	}
	if longest != nil && time.Since(longest.claimed) >= replayEvery {
		longest.giveUp()
	}
}

// cancel has nothing more begin of a replay, if it is worked off here.
func (r *replayers) cancel(id uuid.UUID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if one := r.of[id]; one != nil {
		one.noMore()
	}
}

// workReplays works off replays of a partition until the context ends.
func (e *Engine) workReplays(ctx context.Context, p *partition) {
	var running sync.WaitGroup
	defer running.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-p.replays:
		}
		timer.Reset(replayEvery)
		room := p.replayers.room()
		if room <= 0 {
			p.replayers.makeRoom()
			continue
		}
		began := time.Now()
		// Each time another holder: what this process had, and did not save in time, is lost to it.
		holder, lease := uuid.New(), e.active.Load().lease()
		claimed, err := e.store.ClaimReplays(ctx, p.number, holder, lease, room)
		if err != nil {
			continue // the metrics tell; what is claimed all the same falls due again
		}
		for i := range claimed {
			one := newReplayer(e, p, &claimed[i], holder, began.Add(lease))
			p.replayers.add(one)
			running.Go(func() {
				one.run(ctx)
				p.replayers.remove(one)
				select {
				case p.replays <- struct{}{}: // others may have waited for room
				default:
				}
			})
		}
	}
}
