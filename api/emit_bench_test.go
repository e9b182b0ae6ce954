package api

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkDecodeEvents reads what an emitter sends: an event of some 500 bytes, and an
// array of a hundred; as nearly all are, and in the way that takes any.
func BenchmarkDecodeEvents(b *testing.B) {
	event := fmt.Sprintf(`{"event_type":"alert_active","data":{"text":"%0400d"}}`, 0)
	types, err := NewEventTypes(nil)
	if err != nil {
		b.Fatal(err)
	}
	body := []byte(event)
	array := []byte("[" + strings.Repeat(event+",", 99) + event + "]")
	c := &call{api: &API{Backend: Backend{EventTypes: types, MaxEventSize: 1 << 20}}}
	for _, of := range []struct {
		name string
		body []byte
	}{{"one", body}, {"array", array}} {
		c.body = of.body
		b.Run(of.name+"/plain", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s := takeScratch()
				if _, ok := s.plainEvents(of.body, types, 1<<20); !ok {
					b.Fatal("not plain")
				}
				s.giveBack()
			}
		})
		b.Run(of.name+"/any", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.readEvents(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
