package sender

import (
	"context"
	"slices"
)

// maxMaking is how many connections to one endpoint are made at the same time. Without it,
// an endpoint that takes long to accept them, or none, would get one for each request that
// may be in flight, of all webhooks that lead there.
const maxMaking = 64

// takeTurn waits until a connection to an endpoint, which has begun, may be made, and says
// whether it had to. The caller must pass the turn on.
func (p *pool) takeTurn(ctx context.Context, to endpoint) (siblings *endpointConns, waited bool, err error) {
	p.mu.Lock()
	siblings = p.endpoints[to]
	if siblings.making < maxMaking {
		siblings.making++
		p.mu.Unlock()
		return siblings, false, nil
	}
	turn := make(chan struct{})
	siblings.turns = append(siblings.turns, turn)
	p.mu.Unlock()
	select {
	case <-turn:
		return siblings, true, nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(siblings.turns, turn); i >= 0 {
		siblings.turns = slices.Delete(siblings.turns, i, i+1)
	} else { // it has just come
		siblings.endTurn()
	}
	return nil, true, ctx.Err()
}

// passTurn ends a turn.
func (p *pool) passTurn(siblings *endpointConns) {
	p.mu.Lock()
	defer p.mu.Unlock()
	siblings.endTurn()
}

// endTurn hands a turn to whoever has waited longest. The caller has the lock.
func (e *endpointConns) endTurn() {
	if len(e.turns) == 0 {
		e.making--
		return
	}
	close(e.turns[0])
	e.turns = slices.Delete(e.turns, 0, 1)
}
