package delivery

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
)

const (
	// replayPart is how many deliveries of a webhook that is apart are noted.
	replayPart = replayWindow / 4
	// apartAfter is for how long what is noted may keep the search from going on. Then the webhook
	// that has the most of it goes apart: its deliveries are found by a search of its own, and
	// those of the others do not wait for them.
	apartAfter = 5 * time.Second
	// maxApart bounds how many webhooks are apart, and so what is noted.
	maxApart = 16
)

// search finds the next deliveries, where few enough are noted. It pauses when it has taken a while, as
// few may be found, and the places must be kept.
func (r *replayer) search(ctx context.Context) error {
	d := r.replay
	others := len(d.Sending)
	for i := range d.Apart {
		if err := r.searchApart(ctx, &d.Apart[i]); err != nil {
			return err
		}
	}
	for _, a := range d.Apart {
		others -= r.of[a.WebhookID]
	}
	if d.Searched {
		d.Apart = slices.DeleteFunc(d.Apart, func(a ReplayApart) bool { return a.Before == uuid.Nil })
		return nil
	}
	if others > replayWindow/2 {
		r.setApart()
		return nil
	}
	r.searched = time.Now()
	for others < replayWindow && !d.Searched {
		found, next, err := r.engine.searchReplay(ctx, d)
		if err != nil {
			return err
		}
		d.Place, d.Searched = next, next == ""
		found = slices.DeleteFunc(found, func(one ReplayedDelivery) bool { return r.isApart(one.WebhookID) })
		others += len(found)
		if r.note(found); time.Since(r.saved) > saveReplayEvery {
			break
		}
	}
	return nil
}

// searchApart finds the next deliveries of a webhook that is apart. It stays so until the search for
// the others has ended, which would find them, too.
func (r *replayer) searchApart(ctx context.Context, a *ReplayApart) error {
	if r.of[a.WebhookID] > replayPart/2 {
		return nil
	}
	own := *r.replay
	own.Filter.WebhookID = a.WebhookID
	for a.Before != uuid.Nil && r.of[a.WebhookID] < replayPart {
		own.Place = string(a.Before[:])
		found, next, err := r.engine.searchReplay(ctx, &own)
		if err != nil {
			return err
		}
		a.Before = uuid.Nil // at the end
		copy(a.Before[:], next)
		if r.note(found); time.Since(r.saved) > saveReplayEvery {
			break
		}
	}
	return nil
}

// setApart has the webhook go apart of which the most deliveries are noted, if the search has waited
// for them for too long.
func (r *replayer) setApart() {
	d := r.replay
	if time.Since(r.searched) < apartAfter || d.Filter.WebhookID != uuid.Nil || len(d.Apart) == maxApart {
		return
	}
	var most uuid.UUID
	for webhook, n := range r.of {
		if n > r.of[most] && !r.isApart(webhook) {
			most = webhook
		}
	}
	d.Apart = append(d.Apart, ReplayApart{most, uuid.UUID([]byte(d.Place))})
	r.changed = true
}

func (r *replayer) isApart(webhook uuid.UUID) bool {
	return slices.ContainsFunc(r.replay.Apart, func(a ReplayApart) bool { return a.WebhookID == webhook })
}

// note notes deliveries to be sent next.
func (r *replayer) note(found []ReplayedDelivery) {
	r.replay.Sending = append(r.replay.Sending, found...)
	r.unsent = append(r.unsent, found...)
	r.reached, r.changed = true, true
	r.noted = r.noted && len(found) == 0
	for _, d := range found {
		r.of[d.WebhookID]++
	}
}
