package api

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkDecodeEvents reads what an emitter sends: an event of some 500 bytes, and an
// array of a hundred.
func BenchmarkDecodeEvents(b *testing.B) {
	event := fmt.Sprintf(`{"event_type":"alert_active","data":{"text":"%0400d"}}`, 0)
	types, err := NewEventTypes(nil)
	if err != nil {
		b.Fatal(err)
	}
	check := func(b *testing.B, inputs []eventInput, err error) {
		if err != nil {
			b.Fatal(err)
		}
		var errs fieldErrors
		for i := range inputs {
			inputs[i].check(types, &errs)
		}
		if err := errs.problem(); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			inputs := make([]eventInput, 1)
			check(b, inputs, decode([]byte(event), &inputs[0]))
		}
	})
	b.Run("array", func(b *testing.B) {
		array := "[" + strings.Repeat(event+",", 99) + event + "]"
		b.ReportAllocs()
		for b.Loop() {
			inputs, err := decodeEvents([]byte(array), 1<<20)
			check(b, inputs, err)
		}
	})
}
