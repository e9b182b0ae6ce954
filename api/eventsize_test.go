package api

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestMayHaveLarge looks for elements of more than ten bytes.
func TestMayHaveLarge(t *testing.T) {
	for body, want := range map[string]bool{
		`[1234567890,1234567890]`:    false,
		`[1,2,3,4,5,6,7,8,9]`:        false,
		`["a,b,c,d","e,f,g,h"]`:      false,
		`["a\",\"b,","\\","[[[[",1]`: false,
		`[{"a":1,"b":2}]`:            true,
		`[1,[2,3,4,5,6,7]]`:          true,
		`["]","[,,,,,,,,,"]`:         true,
		`["\\",1,"12345678901"]`:     true,
		`["\"","1","12345678901"]`:   true,
		`[12345678901,`:              true,
		`["12345678901\`:             true,
	} {
		if got := mayHaveLarge([]byte(body), 10); got != want {
			t.Errorf("%s: got %t", body, got)
		}
	}
}

// manyNames is an array of one event, whose data has a member for each ten bytes or so.
func manyNames(size int) []byte {
	var b strings.Builder
	b.WriteString(`[{"event_type":"alert_active","data":{`)
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, `"%x":0,`, i)
	}
	b.WriteString(`"":0}}]`)
	return []byte(b.String())
}

// emitBody handles an emit whose body has been read, up to the engine.
func emitBody(t testing.TB, body []byte) error {
	types, err := NewEventTypes(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &call{api: &API{Backend: Backend{EventTypes: types, MaxEventSize: 1 << 20}}, body: body, scratch: takeScratch()}
	defer c.scratch.giveBack()
	_, err = emitEvents(t.Context(), c)
	return err
}

// TestLargeEventIsNotDecoded emits events that are too large, and have hundreds of thousands
// of names: nobody looks at these, however large the body is.
func TestLargeEventIsNotDecoded(t *testing.T) {
	for _, size := range []int{2 << 20, MaxArraySize - 100} {
		body := manyNames(size)
		allocs := testing.AllocsPerRun(1, func() {
			p, ok := errors.AsType[*problem](emitBody(t, body))
			if !ok || p.Status != http.StatusRequestEntityTooLarge {
				t.Errorf("got %v", p)
			}
		})
		if allocs > 1000 {
			t.Errorf("to refuse an event of %d bytes takes %.0f allocations", size, allocs)
		}
	}
}

// BenchmarkRefuse refuses bodies of 16 MiB that are as dear to read as can be.
func BenchmarkRefuse(b *testing.B) {
	const size = MaxArraySize - 100
	for name, body := range map[string][]byte{
		"names":     manyNames(size),
		"elements":  []byte("[" + strings.Repeat("0,", size/2) + "0]"),
		"cut":       []byte("[" + strings.Repeat("0,", size/2)),
		"bad event": []byte("[" + strings.Repeat(`{"event_type":"alert_active","data":{"a":[`+strings.Repeat("0,", 8000)+`0]}},`, 999) + "{}]"),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if emitBody(b, body) == nil {
					b.Fatal("accepted")
				}
			}
		})
	}
}
