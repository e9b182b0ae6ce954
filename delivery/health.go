package delivery

import (
	"cmp"
	"context"
	"fmt"
	"time"
)

const (
	// overdueAfter is how long a delivery that could be sent may have been due before
	// health says so.
	overdueAfter = time.Minute
	// probeEvery is how often a partition that has accepted no events is asked whether it
	// would. probeFailingEvery is the same while it would not.
	probeEvery        = 5 * time.Second
	probeFailingEvery = time.Second
	probeTime         = 2 * time.Second
)

// Health returns nil if the engine can do its work now, and otherwise why not. What admins
// of one tenant among others may be told are the error's Reasons.
func (e *Engine) Health(context.Context) error {
	if err := e.opened(); err != nil {
		return err
	}
	var all []error
	for _, p := range e.allPartitions() {
		if err := p.watch.health(); err != nil {
			all = append(all, err)
		}
	}
	if err := e.declaring.health(); err != nil && len(all) == 0 { // the store may be why
		return err
	}
	switch len(all) {
	case 0:
		return cmp.Or(e.Encryption().Err, e.unerased())
	case 1:
		return all[0]
	default:
		return fmt.Errorf("%w %w", all[0], Reason(fmt.Sprintf("(%d other partitions are not well either)", len(all)-1)))
	}
}

// PartitionHealth is the state of one partition of the store.
type PartitionHealth struct {
	Partition int
	// Up is false while the store does not do its work for this partition.
	Up bool
	// Overdue is how long the oldest delivery that could be sent has been due.
	Overdue time.Duration
}

// PartitionsHealth returns the state of each partition, none before the store was open.
func (e *Engine) PartitionsHealth() []PartitionHealth {
	all := e.allPartitions()
	states := make([]PartitionHealth, len(all))
	for i, p := range all {
		states[i] = PartitionHealth{i, p.watch.isUp(), e.dispatcher.overdueFor(i, time.Now())}
	}
	return states
}

// SetAside is how many records that cannot be read the store has set aside, of those that
// this process came upon.
func (e *Engine) SetAside() int64 { return e.store.SetAside() }

const errOverdue = Reason("requests begin more slowly than deliveries fall due")

// probe has a partition tried again and again until the context ends, so that its health is
// known although nobody emits events, and notices deliveries that are not sent.
func (e *Engine) probe(ctx context.Context, p *partition) {
	timer := time.NewTimer(probeEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if !p.watch.hasAccepted() {
			e.ping(ctx, p)
		}
		p.watch.noteOverdue(e.dispatcher.overdueFor(p.number, time.Now()))
		if p.watch.failing(accepting) {
			timer.Reset(probeFailingEvery)
		} else {
			timer.Reset(probeEvery)
		}
	}
}

func (e *Engine) ping(ctx context.Context, p *partition) {
	limited, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	began := time.Now()
	if err := e.store.Ping(limited, p.number); ctx.Err() == nil {
		p.watch.notePing(began, err)
	}
}
