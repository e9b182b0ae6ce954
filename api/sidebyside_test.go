package api_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// TestEmitsSideBySide has many emitters send events of all lengths at once: each event
// arrives as it was emitted, although calls use the same memory one after another.
func TestEmitsSideBySide(t *testing.T) {
	const emitters, calls = 8, 20
	endpoint := newReceiver(t)
	s := start(t, newConfig().withLoopback())
	s.admin("POST", "api/webhooks", `{"url":"`+endpoint.URL+`"}`).want(t, 201, nil)
	var all sync.WaitGroup
	for emitter := range emitters {
		all.Go(func() {
			for call := range calls {
				filler := strings.Repeat(fmt.Sprint(emitter), (call*2_003)%9_001)
				data := fmt.Sprintf(`{"emitter":"%d","call":%d,"filler":"%s"}`, emitter, call, filler)
				one := `{"event_type":"group_created","data":` + data + `}`
				if got := s.emit(one); got.status != 202 {
					t.Errorf("%d: %s", got.status, got.body)
				}
				s.emit(one + "?") // a body that is refused
				if got := s.emit("[" + one + "," + one + "]"); got.status != 202 {
					t.Errorf("%d: %s", got.status, got.body)
				}
			}
		})
	}
	all.Wait()
	arrived := make(map[string]int)
	for range emitters * calls * 3 {
		var sent struct {
			Data struct {
				Emitter, Filler string
				Call            int
			}
		}
		if err := json.Unmarshal([]byte(endpoint.next(t)), &sent); err != nil {
			t.Fatal(err)
		}
		d := sent.Data
		if d.Filler != strings.Repeat(d.Emitter, (d.Call*2_003)%9_001) {
			t.Errorf("emitter %s, call %d: arrived is %q", d.Emitter, d.Call, d.Filler)
		}
		arrived[fmt.Sprint(d.Emitter, " ", d.Call)]++
	}
	for key, n := range arrived {
		if n != 3 {
			t.Errorf("%s: arrived %d times", key, n)
		}
	}
	if len(arrived) != emitters*calls {
		t.Errorf("events of %d calls arrived", len(arrived))
	}
}
