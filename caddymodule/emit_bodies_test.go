package caddymodule

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestSlowBodies has strangers hold all memory with bodies that never end: whoever needs some gets that
// of the one that has taken longest, and nobody does whose body has only begun.
func TestSlowBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const each, strangers = 10 << 10, 10
		gateway.limit.Store(each * strangers)
		defer gateway.limit.Store(defaultQueueSize)
		part := make([]byte, each)
		var slow []*emitCopy
		for range strangers {
			c := &emitCopy{max: 1 << 20, likely: each}
			if !c.add(part) {
				t.Fatal("there is no memory from the beginning")
			}
			slow = append(slow, c)
			time.Sleep(time.Millisecond)
		}
		quick := &emitCopy{max: 1 << 20}
		if quick.add(part[:100]) {
			t.Error("there is memory at once, of bodies that have only begun")
		}
		time.Sleep(slowBody)
		quick = &emitCopy{max: 1 << 20}
		if !quick.add(part[:100]) || !quick.done() {
			t.Error("there is no memory, since slow bodies have it")
		}
		for i, c := range slow {
			if lost := !c.done(); lost != (i == 0) {
				t.Errorf("the body %d is lost: %t", i, lost)
			}
		}
		if slow[0].add(part) || !errors.Is(slow[0].why(), errSlowBody) {
			t.Errorf("a body that was given up is copied on, or lost because %v", slow[0].why())
		}
		if gateway.reserve(each) {
			t.Error("bodies that have come are given up")
		}
		for _, c := range append(slow, quick) {
			c.free()
		}
		if reserved, bodies := gateway.reserved.Load(), gateway.bodies.bytes.Load(); reserved != 0 || bodies != 0 {
			t.Errorf("%d bytes are still reserved, %d for bodies", reserved, bodies)
		}
	})
}
