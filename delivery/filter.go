package delivery

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/expression"
)

const (
	// maxFilterWork is about a second: what all filters and orders together may take of one emit. It is
	// counted, not timed, so that the same events are refused each time or never.
	maxFilterWork = 1_000_000 * expression.WorkPerMicrosecond
	// maxPrograms is how many bytes compiled expressions take.
	maxPrograms = 64 << 20
	// Filters of one emit that take up to maxEmitPrograms find each other compiled there the
	// next time, whatever the tenant has; others count with the work of compiling them, of which
	// each byte takes about compileWork.
	maxEmitPrograms = maxPrograms / 2
	compileWork     = 10 * expression.WorkPerMicrosecond
)

// expressions evaluates what webhooks have of them.
type expressions struct {
	programs expression.Cache
	turns    turnsByTenant
}

func newExpressions() *expressions {
	return &expressions{programs: expression.Cache{Most: maxPrograms}, turns: turnsByTenant{most: max(1, runtime.GOMAXPROCS(0)/2)}}
}

// filtering is the filters of one emit.
type filtering struct {
	*Engine
	ctx    context.Context
	tenant string
	work   int
	// compiled are the filters that were evaluated, nil if all fit into maxEmitPrograms, and
	// programs is what they take there.
	compiled map[string]bool
	programs int
	leave    func()            // nil until it has its turn
	input    *expression.Input // of the present event; nil until an expression needs it
}

// filter leaves out of an emission's targets the webhooks whose filter is not true, and finds the
// order keys of the others.
func (e *Engine) filter(ctx context.Context, m *emission, of *subscriptions) error {
	f := filtering{Engine: e, ctx: ctx, tenant: m.call.Tenant}
	if expression.Size(of.filters)+of.list.length*expression.Size(0) > maxEmitPrograms {
		f.compiled = make(map[string]bool)
	}
	defer f.done()
	if of.orders > 0 {
		m.orders = make([][]OrderKey, len(m.webhooks))
	}
	for i, wanting := range m.webhooks {
		f.input = nil
		kept, err := f.keep(&m.call.Events[i], wanting)
		if err != nil {
			return err
		}
		m.webhooks[i] = kept
		if m.orders == nil {
			continue
		}
		if m.orders[i], err = f.orderKeys(&m.call.Events[i], kept); err != nil {
			return err
		}
	}
	return nil
}

// inputOf is the event as expressions see it. It waits for the tenant's turn.
func (f *filtering) inputOf(ev *AcceptEvent) (*expression.Input, error) {
	if f.input == nil {
		if err := f.wait(); err != nil {
			return nil, err
		}
		f.input = newEvent(f.tenant, ev, ev.OccurredAt).Input()
	}
	return f.input, nil
}

// keep leaves out the webhooks whose filter is not true for an event. What it returns is not to
// be changed.
func (f *filtering) keep(ev *AcceptEvent, wanting []*subscription) ([]*subscription, error) {
	kept, changed := wanting, false
	for i, w := range wanting {
		passes := true
		if w.filter != "" {
			input, err := f.inputOf(ev)
			if err == nil {
				passes, err = f.passes(w, input)
			}
			if err != nil {
				return nil, err
			}
		}
		switch {
		case !passes && !changed:
			kept, changed = append(make([]*subscription, 0, len(wanting)-1), wanting[:i]...), true
		case passes && changed:
			kept = append(kept, w)
		}
	}
	return kept, nil
}

// passes says whether a filter is true. What it cannot evaluate is not.
func (f *filtering) passes(w *subscription, input *expression.Input) (bool, error) {
	if f.countPrograms(w.filter); f.work > maxFilterWork {
		return false, ErrFiltersTooCostly
	}
	program, err := f.expressions.programs.Compile(expression.Filter, w.filter)
	passes, work := false, 0
	if err == nil {
		passes, work, err = program.Bool(f.ctx, input)
	}
	if f.work += work; f.work > maxFilterWork {
		return false, ErrFiltersTooCostly
	}
	switch {
	case f.ctx.Err() != nil:
		return false, f.ctx.Err() // it is not known
	case err != nil:
		f.observer.FilterFailed()
		f.log().Debug("a filter could not be evaluated, so the event does not go to its webhook",
			zap.String("tenant", f.tenant), zap.Stringer("webhook_id", w.id), zap.Error(err))
	}
	return passes, nil
}

// countPrograms counts an expression, which is evaluated next, among those that are compiled.
func (f *filtering) countPrograms(source string) {
	if f.compiled == nil || f.compiled[source] {
		return
	}
	f.compiled[source] = true
	if f.programs += expression.Size(len(source)); f.programs > maxEmitPrograms {
		f.work += compileWork * len(source)
	}
}

// wait waits until the tenant may have one more emit's filters evaluated.
func (f *filtering) wait() error {
	if f.leave != nil {
		return nil
	}
	leave, err := f.expressions.turns.wait(f.ctx, f.tenant)
	f.leave = leave
	return err
}

// done gives its turn to the next.
func (f *filtering) done() {
	if f.leave != nil {
		f.leave()
	}
}

// Turn returns when the caller may do for a tenant what keeps a processor busy for milliseconds, such
// as compiling an expression: as many of a tenant may at a time as leave half of the processors to
// others. It must call leave when it has ended, unless there is an error, the context's.
func (e *Engine) Turn(ctx context.Context, tenant string) (leave func(), err error) {
	return e.expressions.turns.wait(ctx, tenant)
}

// turnsByTenant bounds how many of each tenant do something at the same time: one that has all
// processors busy would slow down the others.
type turnsByTenant struct {
	most int

	mu sync.Mutex
	of map[string]*tenantTurns
}

type tenantTurns struct {
	users int // that have a turn or wait for one
	turns chan struct{}
}

// wait returns when the caller may begin. It must call leave when it has ended, unless there is an
// error, the context's.
func (t *turnsByTenant) wait(ctx context.Context, tenant string) (leave func(), err error) {
	t.mu.Lock()
	of := t.of[tenant]
	if of == nil {
		if t.of == nil {
			t.of = make(map[string]*tenantTurns)
		}
		of = &tenantTurns{turns: make(chan struct{}, t.most)}
		t.of[tenant] = of
	}
	of.users++
	t.mu.Unlock()
	forget := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if of.users--; of.users == 0 {
			delete(t.of, tenant)
		}
	}
	select {
	case of.turns <- struct{}{}:
		return func() { <-of.turns; forget() }, nil
	case <-ctx.Done():
		forget()
		return nil, fmt.Errorf("while waiting for other work of the tenant: %w", ctx.Err())
	}
}
