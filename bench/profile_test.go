package main

import (
	"math"
	"testing"
	"time"
)

// A sample belongs to what its innermost function of ours or of the libraries does, except
// for what collects garbage, and for the embedded store's work in the kernel.
func TestShares(t *testing.T) {
	t.Parallel()
	const line = "-----------+-------------------------------------------------------\n"
	got, err := shares("File: caddy\nType: cpu\nDuration: 1s, Total samples = 100ms ( 10%)\n" + line +
		"      40ms   internal/runtime/syscall.Syscall6\n             syscall.write\n             net.(*conn).Write\n" +
		"             " + module + "delivery/sender.(*Sender).Send\n" + line +
		"      20ms   syscall.Fdatasync (inline)\n             " + module + "delivery/embedded.(*journal).append\n" + line +
		"      10ms   runtime.memmove\n             " + module + "delivery/sender.(*connection).exchange\n             " + module + "delivery.(*Engine).send\n" + line +
		"      20ms   runtime.scanobject\n             runtime.gcAssistAlloc\n             " + module + "api.(*API).ServeHTTP\n" + line +
		"      10ms   runtime.findRunnable\n             runtime.schedule\n" + line)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[figure]float64{
		kernelPart: 0.4, storePart: 0.2, "CPU of Caddy, sender, s per 1,000": 0.1,
		"CPU of Caddy, garbage collector, s per 1,000": 0.2, otherPart: 0.1,
	} {
		if math.Abs(got[name]-want) > 1e-9 {
			t.Errorf("%s has a share of %v, want %v", name, got[name], want)
		}
	}
}

func TestScriptTimes(t *testing.T) {
	t.Parallel()
	scripts, commands := scriptTimes("# Commandstats\r\ncmdstat_evalsha:calls=2,usec=500,usec_per_call=250.00\r\n" +
		"cmdstat_set:calls=9,usec=120,usec_per_call=13.33\r\ncmdstat_zadd:calls=3,usec=30,usec_per_call=10.00\r\n")
	if scripts != 500*time.Microsecond || commands != 150*time.Microsecond {
		t.Errorf("scripts took %v, their commands %v", scripts, commands)
	}
}
