package expression

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// hostileToCompile are expressions that are written to take long to compile, and how what is said of
// them begins; nothing, if they are compiled.
func hostileToCompile() map[string][2]string {
	const tooMany, tooDeep, large = "the expression has too many calls and operators", "line 1, column ", "line 1, column 13: the pattern is too large"
	list := func(element string, n int) string { return "[" + strings.Repeat(element+",", n) + element + "]" }
	nest := func(n int, first, next, within string) string {
		b := strings.Builder{}
		for i := range n {
			fmt.Fprintf(&b, "[%s].all(v%d, ", first, i)
			first = strings.ReplaceAll(next, "v", fmt.Sprint("v", i))
		}
		return b.String() + within + strings.Repeat(")", n)
	}
	matches := func(pattern string) string { return "'a'.matches(r'" + pattern + "')" }
	return map[string][2]string{
		"types that double":             {"[1]" + strings.Repeat(".map(x, {x: x})", 60), ""},
		"types that double, in scopes":  {nest(40, "1", "{v: v}", "true"), tooDeep},
		"types that double, as found":   {nest(30, "{}", "{}", "v0 == {v1: v1} && v1 == {v2: v2} && v2 == {v3: v3}"), ""},
		"types of many lists":           {strings.Repeat("[", 60) + "1" + strings.Repeat("]", 60), tooDeep},
		"large types, joined":           {nest(1, strings.Repeat("[", 30)+"1"+strings.Repeat("]", 30), "", list("v0", 2000)+" == []"), tooMany},
		"large types, compared":         {nest(1, strings.Repeat("[", 30)+"1"+strings.Repeat("]", 30), "", list("v0 == v0", 700)+" == []"), tooMany},
		"loops after loops":             {list("1", 2000) + strings.Repeat(".map(x, x)", 90), ""},
		"equals":                        {list("1==1", 1600), tooMany},
		"equals, as many as may be":     {strings.Repeat("data.k=='a'||", 400) + "true", ""},
		"looked for in empty lists":     {list("1 in []", 1000), tooMany},
		"empty lists":                   {list("[]", 2500), ""},
		"overloads":                     {list("1==1", 230) + "==" + list("1<1", 100), ""},
		"many mistakes":                 {list("a", 4000), "line 1, column 2: undeclared reference to 'a'"},
		"mistakes far to the right":     {strings.Repeat(" ", 6700) + list("duration('x')", 100), "line 1, column 6711: "},
		"too many macros":               {strings.Repeat("[].all(x,true)&&", 480) + "true", "line 1, column 6663: "},
		"a long repetition":             {matches(strings.Repeat("a{999}", 1300)), large},
		"repeated repetitions":          {matches(strings.Repeat("(a{30}){30}", 700)), large},
		"large classes":                 {matches(strings.Repeat(`\pL|`, 2000)), large},
		"large ranges, of any case":     {matches(strings.Repeat(`(?i:[\x{42}-\x{1e942}])`, 300)), large},
		"ranges that fold nothing":      {matches(strings.Repeat(`(?i:[\x{1f300}-\x{10ffff}😀-🙏\x{20000}-\x{2a6df}])`, 100)), ""},
		"ranges of which little folds":  {matches(`(?i)^[一-龥]+ [一-龥]+ [一-龥]+ [가-힣]+ [가-힣]+$`), ""},
		"ranges with a false beginning": {matches(`(?i)` + strings.Repeat(`[\\x{1e942}-\x{1e942}\{-\x{1e942}]`, 20)), large},
		"many patterns":                 {list(matches(`^\pL?\d?$`), 290), ""},
	}
}

// TestHostileToCompile has expressions compiled that would take minutes, or all memory. Whether they
// end in time, go test's own limit says.
func TestHostileToCompile(t *testing.T) {
	for name, one := range hostileToCompile() {
		if len(one[0]) > Transform.MaxLength() {
			t.Errorf("%s: %d bytes", name, len(one[0]))
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Compile(Transform, one[0])
		runtime.ReadMemStats(&after)
		if said := fmt.Sprint(err); (err == nil) != (one[1] == "") || err != nil && !strings.HasPrefix(said, one[1]) {
			t.Errorf("%s: %v; want %s", name, err, one[1])
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 128<<20 {
			t.Errorf("%s: %d bytes were allocated", name, took)
		}
	}
}

// TestFilterOfManyComparisons holds that nothing is refused that somebody may mean.
func TestFilterOfManyComparisons(t *testing.T) {
	filter := "data.kind == 'a'" + strings.Repeat(" || data.kind == 'a'", 101)
	object := strings.Repeat("{'a': [", 12) + "data" + strings.Repeat("]}", 12)
	cases := strings.Repeat("event_type == 'abc' ? {'a': data.a, 'b': 'text ' + data.b} : ", 45) + "{}"
	for source, kind := range map[string]Kind{filter: Filter, object: Transform, cases: Transform} {
		if _, err := Compile(kind, source); err != nil {
			t.Errorf("%.50s: %v", source, err)
		}
	}
}

// BenchmarkWorstCompile says which of them takes most of the processor, and how much.
func BenchmarkWorstCompile(b *testing.B) {
	took := make(map[string]time.Duration)
	for b.Loop() {
		for name, one := range hostileToCompile() {
			before := processorTime()
			_, _ = Compile(Transform, one[0])
			took[name] += processorTime() - before
		}
	}
	reportWorst(b, took)
}

func reportWorst(b *testing.B, took map[string]time.Duration) {
	worst := ""
	for name := range took {
		if took[name] > took[worst] {
			worst = name
		}
	}
	b.ReportMetric(float64(took[worst])/float64(b.N)/1e6, "cpu-ms:"+strings.ReplaceAll(worst, " ", "-"))
}
