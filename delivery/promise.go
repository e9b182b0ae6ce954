package delivery

// promise is what has been set aside for a claim.
type promise struct {
	Room
	slots, ahead int
}

// promise sets places aside for a claim in a partition: half of what is free, since what is
// emitted meanwhile, and claimed in other partitions, needs some, too. It is one at most
// if the claim is likely to fail.
func (s *slots) promise(partition int, likely bool, t *turns) promise {
	lanes := s.partitions[partition].of
	free, ahead := half(s.free()), half(s.freeAhead())
	if !likely {
		free, ahead = min(free, 1), 0
	}
	p := promise{slots: free, Room: Room{
		PerWebhook: min(firstWindow, s.perWebhook),
		Webhooks:   make(map[WebhookRef]int, len(lanes)),
	}}
	// A few of them are kept for the slow, who may have none due.
	p.Slow = min(s.slowFree(), max(1, free/4))
	s.setSlowBacklog(partition, p.Slow == 0)
	if free == 1 && !t.take() {
		p.Slow = 0
	}
	for ref, l := range lanes {
		places, slots := s.room(l)
		n := half(places)
		queued := min(max(0, n-slots), ahead)
		n = min(n, slots+queued)
		ahead -= queued
		p.ahead += queued
		p.Webhooks[ref] = n
		if n == 0 {
			l.backlog = true
		}
	}
	for ref, n := range p.Webhooks { // only now: room goes by it
		lanes[ref].claiming += n
	}
	p.Fast = free - p.Slow + p.ahead
	s.claiming.slots += p.slots
	s.claiming.ahead += p.ahead
	return p
}

func half(n int) int { return (n + 1) / 2 }

// takeBack ends a promise, whose claim has been answered.
func (s *slots) takeBack(p promise) {
	s.claiming.slots -= p.slots
	s.claiming.ahead -= p.ahead
	for ref, n := range p.Webhooks {
		// Only a lane that was promised nothing can have been closed meanwhile.
		if l := s.lane(ref); l != nil {
			l.claiming -= n
		}
	}
}
