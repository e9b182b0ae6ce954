package expression

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"strings"
	"testing"
	"time"
)

// hostile are expressions that are written to take long, or much memory.
func hostile() map[string]string {
	ten := "[0,1,2,3,4,5,6,7,8,9]"
	nest := func(most int) string {
		b := strings.Builder{}
		for i := range most {
			fmt.Fprintf(&b, "%s.all(v%d, ", ten, i)
		}
		return b.String() + "true" + strings.Repeat(")", most)
	}
	chain := func(first, link string, n int) string { return first + strings.Repeat(link, n) }
	return merged(hostileLoopsAndPatterns(), map[string]string{
		"nested comprehensions":     nest(8),
		"nested maps":               ten + ".map(a, " + ten + ".map(b, " + ten + ".map(c, " + ten + ".map(d, " + ten + ".map(e, " + ten + ".map(f, a))))))",
		"filters without calls":     "data.list.all(a, data.list.all(b, data.list.filter(c, false) == []))",
		"exists_one":                "data.list.all(a, data.list.all(b, !data.list.exists_one(c, false)))",
		"doubled texts":             chain("[data.text]", ".map(x, x + x)", 40),
		"doubled lists":             chain("[[1]]", ".map(x, x + x)", 60) + ".map(x, 2 in x)",
		"shared lists, compared":    chain("[[1]]", ".map(x, [x, x])", 60) + ".map(x, x == x)",
		"shared lists, written":     chain("[[1]]", ".map(x, [x, x])", 60),
		"shared maps, as JSON":      chain("[{'a': 1}]", ".map(x, {'a': x, 'b': x})", 60) + ".map(x, json.encode(x))",
		"shared lists, formatted":   chain("[[1]]", ".map(x, [x, x])", 60) + ".map(x, '%s'.format([x]))",
		"shared lists, as sets":     chain("[[1]]", ".map(x, [x, x])", 20) + ".map(x, sets.contains(x, x))",
		"shared lists, sought":      chain("[[1]]", ".map(x, [x, x])", 60) + ".map(x, x in [x])",
		"replace":                   "data.text.replace('a', data.text).replace('a', data.text)",
		"replace nothing":           "data.text.replace('', data.text)",
		"replace in a loop":         "data.list.map(x, data.text.replace('a', 'b'))",
		"join":                      "data.list.map(x, data.text).join(data.text)",
		"split":                     "data.list.map(x, data.text.split(''))",
		"format, numbers":           "data.list.map(x, ('%.20f').format([1e300]))",
		"format, long":              "data.text.replace('a', '%s').format([])",
		"quote":                     "data.list.map(x, strings.quote(data.text))",
		"lower":                     "data.list.map(x, data.text.lowerAscii())",
		"substring":                 "data.list.map(x, data.text.substring(1))",
		"index":                     "data.list.map(x, data.text.indexOf(data.text.substring(0, 20000) + 'b'))",
		"last index":                "data.list.map(x, data.text.lastIndexOf('b' + data.text.substring(0, 20000)))",
		"contains":                  "data.list.all(x, !data.text.contains(data.text.substring(0, 20000) + 'b'))",
		"compared texts":            "data.list.all(x, data.text <= data.text + 'b')",
		"sizes":                     "data.list.all(x, size(data.text) > 0)",
		"pattern of its own":        "data.list.all(x, data.text.matches('^(a?){50}a{50}$') || true)",
		"pattern of the event":      "data.list.all(x, data.text.matches(data.pattern) || true)",
		"many patterns":             "data.list.all(x, 'a'.matches('(a{20}){20}' + string(x)) || true)",
		"pattern of a large event":  "'a'.matches(data.text)",
		"time zones":                "data.list.all(x, occurred_at.getHours('Europe/Vienna') >= 0)",
		"zones of no place":         "data.list.all(x, occurred_at.getHours(data.text) >= 0 || true)",
		"bytes":                     "data.list.map(x, bytes(data.text))",
		"base64":                    "data.list.map(x, base64.encode(bytes(data.text)))",
		"sets":                      "data.list.all(x, sets.equivalent(data.list, data.list))",
		"sought in a list":          "data.list.all(x, !(-1 in data.list))",
		"sought text":               "data.list.all(x, !(data.text in data.list))",
		"compared data":             "data.list.all(x, data == data)",
		"numbers of texts":          "data.list.all(x, int(data.text) == 1 || true)",
		"times of texts":            "data.list.all(x, timestamp(data.text) == occurred_at || true)",
		"errors that are passed by": "data.list.all(x, data.list.all(y, data.list.all(z, data.missing || true)))",
		"data, again and again":     "data.list.map(x, data)",
		"a long list":               "data.text.split('a').all(x, x == '')",
		"lists of no calls":         "data.list.all(a, data.list.all(b, true))",
		"long keys":                 "data.list.all(x, data[data.text] == 1 || true)",
		"long keys of a map":        "data.list.all(x, {data.text: 1}.size() == 1)",
		"long literals":             "[" + strings.TrimSuffix(strings.Repeat("[1,2,3,4],", 500), ",") + "].all(x, x == x)",
	})
}

func merged(a, b map[string]string) map[string]string {
	maps.Copy(a, b)
	return a
}

func hostileLoopsAndPatterns() map[string]string {
	const ten = "[0,1,2,3,4,5,6,7,8,9]"
	chain := func(first, link string, n int) string { return first + strings.Repeat(link, n) }
	scopes := func(most int, within string) string {
		b := strings.Builder{}
		for i := range most {
			fmt.Fprintf(&b, "[0].all(v%d, ", i)
		}
		return b.String() + within + strings.Repeat(")", most)
	}
	return map[string]string{
		"maps of maps":             ten + ".map(a, " + ten + ".map(b, " + ten + ".map(c, " + ten + ".map(d, a))))",
		"filters of maps":          ten + ".map(a, " + ten + ".map(b, " + ten + ".map(c, " + ten + ".filter(d, true))))",
		"a loop in each step":      "data.list.map(x, [x].map(y, [y].map(z, z)))",
		"objects":                  "data.objects.map(x, {'a': x, 'b': x, 'c': data.list})",
		"texts":                    "data.objects.map(x, 'a' + 'b' + string(x)) + data.list",
		"lists in lists":           "data.objects.map(x, [x, [x]]) + data.list",
		"variables of far outside": scopes(45, "data.objects.all(x, v0 == 0 && event_type == '')"),
		"added lists":              chain("[[1]]", ".map(x, x"+strings.Repeat("+[1]", 45)+")", 5) + ".map(x, data.list.all(y, x == x && x.all(z, true)))",
		"shared lists, joined":     chain("[[1]]", ".map(x, [x, x])", 60) + ".map(x, dyn(['a', x]).join())",
		"lists of data, compared":  "data.list.map(x, [x]) == data.list.map(x, [x])",
		"pattern of loops":         "data.list.all(x, data.short.matches('(?i)(ж?){50}z') || true)",
		"pattern of any":           "data.list.all(x, data.short.matches('.*a.*a.*a.*a.*a.*z') || true)",
		"pattern of classes":       `data.list.all(x, data.short.matches(r'([\pL\pN\pM]*)*z') || true)`,
		"patterns made":            ten + ".all(x, data.short.matches('((a?)(b?)(c?)(d?)(e?)){30}' + string(x)) || true)",
		"repetitions made":         ten + ".all(x, data.short.matches('(a{1000}){1000}' + string(x)) || true)",
		"folded classes made":      ten + `.all(x, data.short.matches(r'(?i)[\x{42}-\x{1e942}]' + string(x)) || true)`,
	}
}

// within are those that stay within the limits.
var within = map[string]bool{"long literals": true, "texts": true, "lists in lists": true, "lists of data, compared": true}

// large is an event as large as events may be.
func large() []byte {
	return fmt.Appendf(nil, `{"text":%q,"pattern":"^(a?){100}a{100}$","list":[%s0],"objects":[%s0],"short":%q}`,
		strings.Repeat("a", 400_000), strings.Repeat("0,", 1500), strings.Repeat("0,", 2500), strings.Repeat("a", 500))
}

// TestHostileExpressions has expressions evaluated that would take minutes or gigabytes. Whether they
// end in time, go test's own limit says; how much they may take, the limits of an evaluation.
func TestHostileExpressions(t *testing.T) {
	data := large()
	for name, source := range hostile() {
		p, err := Compile(Transform, source)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		in := NewInput(Event{Data: data})
		if _, err := in.object(); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		result, err := p.JSON(context.Background(), in)
		runtime.ReadMemStats(&after)
		if len(result) > MaxMemory {
			t.Errorf("%s: a result of %d bytes", name, len(result))
		}
		// In all, and not at the same time; the interpreter's own values are among it, and what the race
		// detector makes of lengths in code points.
		if took := after.TotalAlloc - before.TotalAlloc; took > 8*MaxMemory {
			t.Errorf("%s: %d bytes were allocated", name, took)
		}
		if err == nil && !within[name] {
			t.Errorf("%s: no error", name)
		}
	}
}

func BenchmarkHostile(b *testing.B) {
	data := large()
	for name, source := range hostile() {
		b.Run(name, func(b *testing.B) {
			p, err := Compile(Transform, source)
			if err != nil {
				b.Fatal(err)
			}
			in := NewInput(Event{Data: data})
			_, _ = in.object()
			measure(b, func() { _, _ = p.JSON(context.Background(), in) })
		})
	}
}

// BenchmarkWorstHostile says which of them takes most of the processor, and how much.
func BenchmarkWorstHostile(b *testing.B) {
	in, programs, took := NewInput(Event{Data: large()}), make(map[string]*Program), make(map[string]time.Duration)
	_, _ = in.object()
	for name, source := range hostile() {
		p, err := Compile(Transform, source)
		if err != nil {
			b.Fatal(err)
		}
		programs[name] = p
	}
	for b.Loop() {
		for name, p := range programs {
			before := processorTime()
			_, _ = p.JSON(context.Background(), in)
			took[name] += processorTime() - before
		}
	}
	reportWorst(b, took)
}
