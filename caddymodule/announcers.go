package caddymodule

import (
	"slices"
	"sync"
)

// announcers are those of configurations that have started, the newest last. What waits when a
// configuration is replaced is for the handlers of the one that stays.
var announcers announcerList

type announcerList struct {
	mu  sync.Mutex
	all []*announcer
}

func (l *announcerList) join(a *announcer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, a)
}

// announce has an event emitted by its configuration, or by the one that has replaced it.
func (l *announcerList) announce(a *announcer, event announcement) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a = l.successor(a); a.ended {
		a.lose(event)
		return
	}
	a.take(event)
}

// successor is an announcer or, once it has ended, the newest of the others, if there is one. The
// caller holds l.mu.
func (l *announcerList) successor(a *announcer) *announcer {
	if a.ended && len(l.all) > 0 {
		return l.all[len(l.all)-1]
	}
	return a
}

// wants says whether anybody may handle an event. If nobody does, its data need not be made. While a
// configuration replaces another, it is not known whose handlers there will be.
func (l *announcerList) wants(a *announcer, name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	a = l.successor(a)
	return len(l.all) > 1 || !a.active.Load() || a.events.ShouldEmit(name)
}

// leave ends an announcer: what waits goes to the newest of the others, or is lost.
func (l *announcerList) leave(a *announcer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = slices.DeleteFunc(l.all, func(other *announcer) bool { return other == a })
	a.ended = true
	var rest []announcement
	for {
		select {
		case event := <-a.queue:
			rest = append(rest, event)
			continue
		default:
		}
		break
	}
	next := l.successor(a)
	if next.ended {
		a.lose(rest...)
		return
	}
	for _, event := range rest {
		next.take(event)
	}
}
