package expression

import (
	"fmt"
	"regexp"
	"regexp/syntax"

	"cel.dev/cel-go/common/functions"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// Limits of patterns.
const (
	maxPatternProgram = 1000 // instructions
	maxEventPattern   = 128  // bytes, of one that is not in the expression itself
	// aPattern is the work of compiling one, and aPatternMade the memory.
	aPattern     = 128 << 10
	aPatternMade = 64 << 10
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
	compiled, instructions, err := compilePattern(string(pattern))
	if err != nil {
		return nil, &patternError{m.args[1].ID(), err.Error()}
	}
	m.args = []interpreter.InterpretableV2{m.args[0], hidden{m.args[1]}}
	m.of = &functions.Overload{Binary: func(text, _ ref.Val) ref.Val { return match(text, compiled) }}
	m.guard = func(e *evaluation, args []ref.Val) {
		e.do(times(textLength(args[0])+perValue, instructions))
	}
	return m, nil
}

// hidden is a constant that the library must not see: it would compile the pattern, too, and put
// a call of its own in place of the metered one.
type hidden struct{ interpreter.InterpretableV2 }

func compilePattern(pattern string) (compiled *regexp.Regexp, instructions int, err error) {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, 0, err
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, 0, err
	}
	if instructions = len(program.Inst); instructions > maxPatternProgram {
		return nil, 0, fmt.Errorf("the pattern is too large")
	}
	compiled, err = regexp.Compile(pattern)
	return compiled, instructions, err
}

// matches is for patterns that are compiled at each call.
func matches(text, pattern ref.Val) ref.Val {
	p, ok := pattern.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(pattern)
	}
	compiled, _, err := compilePattern(string(p))
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
	e.do(aPattern + times(textLength(args[0])+perValue, maxPatternProgram))
	e.make(aPatternMade)
}
