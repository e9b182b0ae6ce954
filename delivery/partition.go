package delivery

import (
	"strconv"
	"sync"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/backoff"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/groupcommit"
)

// partition is what the engine has of one partition of the store. Nothing of one waits for
// another: one that is away holds up its own tenants alone.
type partition struct {
	number   int
	key      string     // in quotas
	reads    *reads     // of tenants' subscriptions that are in progress
	types    notedTypes // of its tenants
	accepts  groupcommit.Group[*emission]
	outcomes groupcommit.Group[*finished]
	writing  []Outcome // what outcomes is writing
	// completeAgain is how long to wait after no outcome of a batch could be written.
	completeAgain backoff.Backoff
	wrote         time.Time // when outcomes were last written
	releases      groupcommit.Group[Lease]
	emits         *shares    // emits in progress, by their weight
	sendsNow      *shares    // re-runs and tests in flight
	changing      sync.Mutex // one change of a webhook at a time, here
	watch         *watch
	stored        storedBytes   // by its tenants
	replays       chan struct{} // of capacity 1: there may be replays that nobody holds
	replayers     replayers
}

// setPartitions makes the engine's partitions, once the store is open for the first time.
func (e *Engine) setPartitions() {
	if e.partitions.Load() != nil {
		return
	}
	n := e.store.Partitions()
	share := maxIntake / min(n, 2)
	e.intake = newQuota(2*maxIntake, 2*share)
	all := make([]*partition, n)
	for i := range all {
		p := &partition{number: i, reads: newReads(), key: strconv.Itoa(i), watch: &watch{partition: i, of: n, log: e.log}}
		p.watch.notify = func(err error) { e.notify(func(n Notifier) { n.StoreAvailable(i, err) }) }
		p.replays = make(chan struct{}, 1)
		p.sendsNow = newShares(maxSendNow, maxTenantSendNow, maxSendNow)
		p.emits = newShares(2*share-share/4, share, share/4)
		p.accepts.Limit, p.accepts.Commit = limitEmissions, func(batch []*emission) { e.accept(p, batch) }
		p.outcomes.Limit, p.outcomes.Commit = limitOutcomes, func(batch []*finished) { e.complete(p, batch) }
		p.completeAgain = backoff.Backoff{First: completeBackoff, Most: maxCompleteBackoff}
		p.releases.Commit = func(batch []Lease) { e.giveBack(p, batch) }
		all[i] = p
	}
	e.dispatcher.setPartitions(n, e.store.Partition)
	e.partitions.Store(&all)
}

// at is the partition of a tenant. The store must be open.
func (e *Engine) at(tenant string) *partition {
	return (*e.partitions.Load())[e.store.Partition(tenant)]
}

// allPartitions are those of the store, none before it was open.
func (e *Engine) allPartitions() []*partition {
	if all := e.partitions.Load(); all != nil {
		return *all
	}
	return nil
}
