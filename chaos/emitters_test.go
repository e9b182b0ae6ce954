package chaos

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

const (
	tenants    = 8
	mostAtOnce = 4 // events of a call
	// repeatAfter is how long an emitter waits before it emits the events of a call again
	// whose outcome is unknown, as it should.
	repeatAfter = 500 * time.Millisecond
)

// emitters emit events until they are stopped: one for each tenant, so that no tenant's
// calls wait for another's.
type emitters struct {
	ledger func() *ledger // for new events
	apis   []string       // of the Caddys
	pace   atomic.Int64   // the mean time between calls of one emitter

	stopping context.Context // ends the load
	stop     context.CancelFunc
	alive    context.Context // ends the repetitions, too
	die      context.CancelFunc
	running  sync.WaitGroup
}

// emitter emits the events of one tenant.
type emitter struct {
	*emitters
	tenant  int
	random  *rand.Rand
	repeats []repeat // in the order in which they are due
}

// repeat is a call whose outcome is unknown, to be made again.
type repeat struct {
	ids    []uuid.UUID
	ledger *ledger
	due    time.Time
}

// start starts the emitters. Their decisions are taken under a name.
func (es *emitters) start(name string) {
	es.alive, es.die = context.WithCancel(context.Background())
	es.stopping, es.stop = context.WithCancel(es.alive)
	for tenant := range tenants {
		e := &emitter{emitters: es, tenant: tenant, random: decisions(name + tenantName(tenant))}
		es.running.Go(e.run)
	}
}

// end stops the emitters. Before they end, they repeat the calls whose outcome is unknown,
// until it is known or the patience ends.
func (es *emitters) end() {
	es.stop()
	es.running.Wait()
}

// abandon ends the emitters at once, also those of a test that has failed.
func (es *emitters) abandon() {
	es.die()
	es.running.Wait()
}

func (e *emitter) run() {
	for e.stopping.Err() == nil {
		begin := time.Now()
		if len(e.repeats) > 0 && time.Now().After(e.repeats[0].due) {
			e.repeat()
		} else {
			e.emitNew()
		}
		pace := time.Duration(e.pace.Load())
		next := begin.Add(pace/2 + time.Duration(e.random.Int64N(int64(pace))))
		time.Sleep(time.Until(next))
	}
	for deadline := time.Now().Add(patience); len(e.repeats) > 0 && e.alive.Err() == nil && time.Now().Before(deadline); {
		time.Sleep(time.Until(e.repeats[0].due))
		e.repeat()
	}
}

// emitNew emits up to four new events. Of the calls whose outcome is unknown, a quarter is
// left as it is, which must do no harm either.
func (e *emitter) emitNew() {
	ledger := e.ledger()
	ids := make([]uuid.UUID, 1+e.random.IntN(mostAtOnce))
	for i := range ids {
		ids[i] = newID(e.random, ledger.epoch)
	}
	giveUp := e.random.IntN(4) == 0
	ledger.emitting(e.tenant, ids)
	if e.call(ids, ledger) == unknown && !giveUp {
		e.repeats = append(e.repeats, repeat{ids, ledger, time.Now().Add(repeatAfter)})
	}
}

// repeat makes a call again. While it is refused it remains unknown what became of the
// first one.
func (e *emitter) repeat() {
	r := e.repeats[0]
	e.repeats = e.repeats[1:]
	if e.call(r.ids, r.ledger) != acknowledged {
		r.due = time.Now().Add(repeatAfter)
		e.repeats = append(e.repeats, r)
	}
}

// call emits events at one of the Caddys.
func (e *emitter) call(ids []uuid.UUID, ledger *ledger) outcome {
	c := call{tenant: e.tenant, begin: time.Now()}
	a := emit(e.alive, e.apis[e.random.IntN(len(e.apis))], tenantName(e.tenant), ids)
	c.end = time.Now()
	ledger.answered(c, ids, a)
	return a.outcome
}

// newID makes an id for an event of an epoch.
func newID(random *rand.Rand, epoch uint32) (id uuid.UUID) {
	for i := range id {
		id[i] = byte(random.Uint32())
	}
	binary.BigEndian.PutUint32(id[:], epoch)
	id[6] = id[6]&0x0f | 0x80 // version 8: made by rules of our own
	id[8] = id[8]&0x3f | 0x80
	return id
}

// epochOf is the epoch that an event's id names.
func epochOf(id uuid.UUID) uint32 { return binary.BigEndian.Uint32(id[:]) }
