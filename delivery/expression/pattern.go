package expression

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/common/functions"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// Limits of patterns.
const (
	maxPatternProgram = 1000 // instructions
	maxEventPattern   = 128  // bytes, of one that is not in the expression itself
	// maxClassRunes is how many code points the parser may look at for classes of characters, and
	// maxEventClassRunes that of a pattern that is not in the expression itself.
	maxClassRunes      = 100_000
	maxEventClassRunes = 10_000
	// perClass is what a class has that has a name, such as \pL.
	perClass = 1500
	// aPattern is the work of compiling one, and aPatternMade the memory.
	aPattern     = 128 << 10
	aPatternMade = 128 << 10
	// perInstruction is the work that one can be for each byte of a text.
	perInstruction = 3
)

// patternError says that a pattern cannot be used. The library would not say where it is.
type patternError struct {
	id     int64
	reason string
}

func (e *patternError) Error() string { return e.reason }

// withPattern prepares a call of matches. A pattern that the expression itself has is compiled
// once; another one is at each call, which is dear.
func (m *meteredCall) withPattern() (interpreter.InterpretableV2, error) {
	m.guard = guardMatches
	m.of = &functions.Overload{Binary: matches}
	if len(m.args) != 2 {
		return m, nil
	}
	constant, ok := m.args[1].(interpreter.InterpretableConst)
	if !ok {
		return m, nil
	}
	pattern, ok := constant.Value().(types.String)
	if !ok {
		return m, nil
	}
	compiled, instructions, err := compilePattern(string(pattern), maxClassRunes)
	if err != nil {
		return nil, &patternError{m.args[1].ID(), err.Error()}
	}
	m.args = []interpreter.InterpretableV2{m.args[0], hidden{m.args[1]}}
	m.of = &functions.Overload{Binary: func(text, _ ref.Val) ref.Val { return match(text, compiled) }}
	m.guard = func(e *evaluation, args []ref.Val) {
		e.do(times(textLength(args[0])+perValue, perInstruction*instructions))
	}
	return m, nil
}

// hidden is a constant that the library must not see: it would compile the pattern, too, and put
// a call of its own in place of the metered one.
type hidden struct{ interpreter.InterpretableV2 }

var errLargePattern = errors.New("the pattern is too large")

func compilePattern(pattern string, mostRunes int) (compiled *regexp.Regexp, instructions int, err error) {
	if classRunes(pattern) > mostRunes {
		return nil, 0, errLargePattern
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, 0, err
	}
	if repeated(parsed) > 2*maxPatternProgram {
		return nil, 0, errLargePattern
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, 0, err
	}
	if len(program.Inst) > maxPatternProgram {
		return nil, 0, errLargePattern
	}
	for _, one := range program.Inst {
		if instructions++; one.Op == syntax.InstRune { // of more than one code point
			instructions += 2
		}
	}
	compiled, err = regexp.Compile(pattern)
	return compiled, instructions, err
}

// repeated is about how many instructions a pattern is, before any is made for a repetition.
func repeated(re *syntax.Regexp) int {
	n := 1 + len(re.Rune)
	if re.Op == syntax.OpCharClass {
		n = 1
	}
	for _, sub := range re.Sub {
		n += repeated(sub)
	}
	if re.Op == syntax.OpRepeat {
		n = times(n, max(re.Min, re.Max, 1))
	}
	return min(n, 2*maxPatternProgram+1)
}

// minFold and maxFold are the first and the last code point that have others as their upper or lower
// case: the parser adds a range as it is but for what of it is between them.
const minFold, maxFold = 'A', 0x1e943

// classRunes is how many code points the parser looks at for classes of characters: with the flag i
// that is each one of a range, which takes milliseconds.
func classRunes(pattern string) int {
	n := strings.Count(pattern, `\p`) + strings.Count(pattern, `\P`)
	n *= perClass
	if !ignoresCase(pattern) {
		return n
	}
	for i := range len(pattern) {
		if pattern[i] == '-' {
			first, last := max(lastRune(pattern[:i]), minFold), min(firstRune(pattern[i+1:]), maxFold)
			n += max(last-first+1, 0)
		}
	}
	return n
}

// ignoresCase says whether a pattern may have the flag i.
func ignoresCase(pattern string) bool {
	for rest := pattern; ; {
		_, after, ok := strings.Cut(rest, "(?")
		if !ok {
			return false
		}
		if flags := strings.IndexAny(after, ":)<"); flags >= 0 && strings.Contains(after[:flags], "i") {
			return true
		}
		rest = after
	}
}

// firstRune is the code point that a part of a pattern begins with.
func firstRune(pattern string) int {
	digits, escaped := strings.CutPrefix(pattern, `\x`)
	if !escaped {
		r, _ := utf8.DecodeRuneInString(pattern)
		return int(r)
	}
	if braced, ok := strings.CutPrefix(digits, "{"); ok {
		digits, _, _ = strings.Cut(braced, "}")
		if n, err := strconv.ParseUint(digits, 16, 32); err == nil {
			return min(int(n), utf8.MaxRune)
		}
		return utf8.MaxRune
	}
	return 0xff
}

// lastRune is the code point that a part of a pattern ends with, or one before it.
func lastRune(pattern string) int {
	if before, digits, ok := cutLast(pattern, `\x{`); ok && strings.HasSuffix(digits, "}") && !isEscaped(before) {
		if n, err := strconv.ParseUint(strings.TrimSuffix(digits, "}"), 16, 32); err == nil {
			return min(int(n), utf8.MaxRune)
		}
	}
	r, size := utf8.DecodeLastRuneInString(pattern)
	if r == utf8.RuneError && size <= 1 || isEscaped(pattern[:len(pattern)-size]) {
		return 0
	}
	return int(r)
}

func cutLast(text, separator string) (before, after string, ok bool) {
	if i := strings.LastIndex(text, separator); i >= 0 {
		return text[:i], text[i+len(separator):], true
	}
	return text, "", false
}

// isEscaped says whether what follows a part of a pattern is escaped.
func isEscaped(before string) bool {
	return (len(before)-len(strings.TrimRight(before, `\`)))%2 == 1
}

// matches is for patterns that are compiled at each call.
func matches(text, pattern ref.Val) ref.Val {
	p, ok := pattern.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(pattern)
	}
	compiled, _, err := compilePattern(string(p), maxEventClassRunes)
	if err != nil {
		return types.WrapErr(err)
	}
	return match(text, compiled)
}

func match(text ref.Val, pattern *regexp.Regexp) ref.Val {
	s, ok := text.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(text)
	}
	return types.Bool(pattern.MatchString(string(s)))
}

func guardMatches(e *evaluation, args []ref.Val) {
	if textLength(args[1]) > maxEventPattern {
		e.stop()
	}
	e.do(aPattern + times(textLength(args[0])+perValue, perInstruction*maxPatternProgram))
	e.make(aPatternMade)
}
