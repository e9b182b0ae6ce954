package expression

import (
	"math"
	"math/bits"
	"strings"

	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// guard takes what a call needs from what is left, before it is made.
type guard func(e *evaluation, args []ref.Val)

const (
	// perValue is how much work one value is, whatever it is.
	perValue = 50
	// perRune is how many bytes one of a text takes while a function has it as code points.
	perRune = 4
	// perNumber is how long a number can become in a formatted text, and numberWork how much work
	// that is.
	perNumber  = 340
	numberWork = 5120
	// aZone is the work of reading the data of a time zone.
	aZone = 64 << 10
	// maxZone is how many bytes the name of a time zone may have.
	maxZone = 256
)

// guards are those of functions that do more than look at their arguments once, or make more than
// they are given.
var guards = map[string]guard{
	eachFunction:        guardEach,
	keyFunction:         guardKey,
	operators.Equals:    guardEquals,
	operators.NotEquals: guardEquals,
	operators.In:        guardIn,
	operators.Add:       guardAdd,
	"sets.contains":     guardSets,
	"sets.equivalent":   guardSets,
	"sets.intersects":   guardSets,
	"charAt":            guardRunes,
	"substring":         guardRunes,
	"lowerAscii":        guardRunes,
	"upperAscii":        guardRunes,
	"reverse":           guardRunes,
	"indexOf":           guardSearch,
	"lastIndexOf":       guardSearch,
	"replace":           guardReplace,
	"split":             guardSplit,
	"join":              guardJoin,
	"format":            guardFormat,
	"strings.quote":     guardQuote,
	"base64.encode":     guardQuote,
	"json.encode":       guardJSON,

	overloads.TypeConvertBool:      guardParse,
	overloads.TypeConvertDouble:    guardParse,
	overloads.TypeConvertDuration:  guardParse,
	overloads.TypeConvertInt:       guardParse,
	overloads.TypeConvertTimestamp: guardParse,
	overloads.TypeConvertUint:      guardParse,

	overloads.TimeGetDate:         guardZone,
	overloads.TimeGetDayOfMonth:   guardZone,
	overloads.TimeGetDayOfWeek:    guardZone,
	overloads.TimeGetDayOfYear:    guardZone,
	overloads.TimeGetFullYear:     guardZone,
	overloads.TimeGetHours:        guardZone,
	overloads.TimeGetMilliseconds: guardZone,
	overloads.TimeGetMinutes:      guardZone,
	overloads.TimeGetMonth:        guardZone,
	overloads.TimeGetSeconds:      guardZone,
}

// times multiplies, up to what is more than any limit.
func times(a, b int) int {
	if hi, lo := bits.Mul(uint(a), uint(b)); hi == 0 && lo < math.MaxInt32 {
		return int(lo)
	}
	return math.MaxInt32
}

// guardEquals: values are compared element by element, which ends with the smaller one.
func guardEquals(e *evaluation, args []ref.Val) {
	if size(args[0]) > 0 && size(args[1]) > 0 {
		e.weigh(args[0])
		return
	}
	e.do(min(textLength(args[0]), textLength(args[1])))
}

func guardIn(e *evaluation, args []ref.Val) {
	if _, ok := args[1].(traits.Lister); !ok {
		e.do(perValue + textLength(args[0]))
		return
	}
	if size(args[0]) > 0 {
		e.weigh(args[1])
		return
	}
	e.do(times(size(args[1]), perValue+textLength(args[0])/perValue))
}

// guardAdd: a list that a loop makes is not copied, so that only what is added counts.
func guardAdd(e *evaluation, args []ref.Val) {
	n := textLength(args[0]) + textLength(args[1])
	elements := size(args[1])
	if !grows(args[0]) {
		elements += size(args[0])
		e.do(times(elements, perValue/4))
	}
	e.do(n)
	e.make(n + times(elements, perListed))
}

// guardSets: each element is compared with each.
func guardSets(e *evaluation, args []ref.Val) {
	n, m := e.weigh(args[0]), e.weigh(args[1])
	e.do(2 * (times(n, size(args[1])) + times(m, size(args[0]))))
}

func guardRunes(e *evaluation, args []ref.Val) {
	n := textLength(args[0])
	e.do(times(n, 2*perRune))
	e.make(times(n, perRune))
}

func guardSearch(e *evaluation, args []ref.Val) {
	guardRunes(e, args)
	e.do(times(textLength(args[0]), textLength(args[1])))
}

func guardReplace(e *evaluation, args []ref.Val) {
	text, ok1 := args[0].(types.String)
	old, ok2 := args[1].(types.String)
	replacement, ok3 := args[2].(types.String)
	if !ok1 || !ok2 || !ok3 {
		return
	}
	e.do(2 * (len(text) + len(old)))
	found := strings.Count(string(text), string(old))
	n := len(text) + times(found, len(replacement))
	e.do(n)
	e.make(n)
}

func guardSplit(e *evaluation, args []ref.Val) {
	text, ok1 := args[0].(types.String)
	separator, ok2 := args[1].(types.String)
	if !ok1 || !ok2 {
		return
	}
	parts := strings.Count(string(text), string(separator)) + 1
	e.do(4*len(text) + times(parts+2, perValue))
	e.make(times(parts, perListed))
}

func guardJoin(e *evaluation, args []ref.Val) {
	list, ok := args[0].(traits.Lister)
	if !ok {
		return
	}
	n := 0
	if len(args) > 1 {
		n = times(size(list), textLength(args[1]))
	}
	for it := list.Iterator(); it.HasNext() == types.True; {
		text := it.Next()
		if size(text) > 0 { // which the error has
			n += 4 * e.weigh(text)
		}
		n += textLength(text)
		e.do(perValue + textLength(text))
	}
	e.do(n)
	e.make(n)
}

// guardFormat: a text of the list stands in the result once, quoted if it is deep in it.
func guardFormat(e *evaluation, args []ref.Val) {
	format, ok := args[0].(types.String)
	if !ok {
		return
	}
	e.do(len(format))
	clauses := strings.Count(string(format), "%")
	e.do(times(clauses, numberWork))
	n := len(format) + times(clauses, perNumber)
	e.make(n + 2*e.weigh(args[1]))
}

func guardQuote(e *evaluation, args []ref.Val) {
	n := textLength(args[0])
	e.do(16 * n)
	e.make(4 * n)
}

func guardJSON(e *evaluation, args []ref.Val) {
	n := e.weigh(args[0])
	e.do(2 * n)
	e.make(2 * n)
}

// guardParse: what cannot be read is quoted in the error.
func guardParse(e *evaluation, args []ref.Val) {
	n := textLength(args[0])
	e.do(times(n, 16))
	e.make(times(n, 8))
}

func guardZone(e *evaluation, args []ref.Val) {
	if len(args) > 1 {
		e.do(aZone + times(textLength(args[1]), maxWork/maxZone))
	}
}
