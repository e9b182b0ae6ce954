package expression

import (
	"context"

	"cel.dev/cel-go/common/functions"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
)

// Limits of one evaluation. They are ours: the library's count what a function costs when that has
// ended, but one call alone can take minutes, or gigabytes, and what it keeps to count makes loops
// quadratic. So a function is called only if what it has to look at, and what it makes, is still
// left, and a loop begins only if its steps are.
const (
	// MaxMemory is how many bytes the texts, lists and maps may have that an evaluation makes, and
	// its result as JSON.
	MaxMemory = 1 << 20
	// maxWork bounds the time, in what takes about as long as looking at so many bytes.
	maxWork = 2 << 20
	// WorkPerMicrosecond is how much work takes about a microsecond.
	WorkPerMicrosecond = maxWork / 10_000
	// checkEvery is how much work is done until the context is asked.
	checkEvery = 64 << 10
)

// evaluation is an input with what is left of the limits. The interpreter asks it for variables.
type evaluation struct {
	ctx        context.Context
	in         *Input
	work, made int
	args       [4]ref.Val // of the call for which there must be enough left
}

// meterName is no name that an expression can have.
const meterName = "@meter"

// ResolveName implements interpreter.Activation.
func (e *evaluation) ResolveName(name string) (any, bool) {
	switch name {
	case varType:
		return e.in.eventType, true
	case varID:
		return e.in.id, true
	case varTenant:
		return e.in.tenant, true
	case varOccurredAt:
		return e.in.occurredAt, true
	case varData:
		data, err := e.in.object()
		if err != nil {
			return types.WrapErr(err), true
		}
		return data, true
	case meterName:
		return e, true
	default:
		return nil, false
	}
}

// Parent implements interpreter.Activation.
func (*evaluation) Parent() interpreter.Activation { return nil }

// do takes work from what is left. Without enough it ends the evaluation: as an error, it would be
// a value that others may take no notice of.
func (e *evaluation) do(work int) {
	if work < 0 || work > maxWork-e.work {
		e.stop()
	}
	before := e.work
	e.work += work
	if before/checkEvery != e.work/checkEvery && e.ctx.Err() != nil {
		e.stop()
	}
}

// make takes memory from what is left.
func (e *evaluation) make(bytes int) {
	if bytes < 0 || bytes > MaxMemory-e.made {
		e.stop()
	}
	e.made += bytes
}

func (*evaluation) stop() {
	panic(interpreter.EvalCancelledError{Cause: interpreter.CostLimitExceeded, Message: "limit exceeded"})
}

// meterOf finds the evaluation of a frame.
func meterOf(frame *interpreter.ExecutionFrame) *evaluation {
	v, _ := frame.ResolveName(meterName)
	if e, ok := v.(*evaluation); ok {
		return e
	}
	return &evaluation{ctx: context.Background()} // while constants are folded
}

// meteredCall is a call of a function that asks first whether there is enough left.
type meteredCall struct {
	interpreter.InterpretableCall
	args  []interpreter.InterpretableV2
	of    *functions.Overload
	guard guard // nil if looking at the arguments is all that takes long
}

// meter replaces calls by metered ones, all but those that take errors for arguments, which are
// the library's own in comprehensions.
func meter(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	if c, ok := i.(interpreter.InterpretableConstructor); ok {
		return meterConstructor(c), nil
	}
	call, ok := i.(interpreter.InterpretableCall)
	if !ok {
		return i, nil
	}
	of := implementations[call.OverloadID()]
	if of == nil {
		of = implementations[call.Function()]
	}
	args := call.Args()
	if of == nil || of.NonStrict || len(args) == 0 || len(args) > len(evaluation{}.args) {
		return i, nil
	}
	m := &meteredCall{call, args, of, guards[call.Function()]}
	if call.Function() == overloads.Matches {
		return m.withPattern()
	}
	return m, nil
}

// Exec implements interpreter.InterpretableV2.
func (m *meteredCall) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	var args [4]ref.Val
	plain := true
	for i, arg := range m.args {
		v := arg.Exec(frame)
		if types.IsUnknownOrError(v) {
			return v
		}
		args[i] = v
		plain = plain && isPlain(v)
	}
	if plain {
		return types.LabelErrNode(m.ID(), m.call(args))
	}
	e := meterOf(frame)
	e.args = args
	e.do(perValue)
	if m.guard != nil {
		m.guard(e, e.args[:len(m.args)])
		return types.LabelErrNode(m.ID(), m.call(args))
	}
	for _, arg := range args[:len(m.args)] {
		e.do(textLength(arg))
	}
	result := m.call(args)
	e.make(textLength(result))
	return types.LabelErrNode(m.ID(), result)
}

// Eval implements interpreter.Interpretable.
func (m *meteredCall) Eval(vars interpreter.Activation) ref.Val {
	return m.Exec(interpreter.AsFrame(vars))
}

func (m *meteredCall) call(args [4]ref.Val) ref.Val {
	n := len(m.args)
	if m.of.OperandTrait != 0 && !args[0].Type().HasTrait(m.of.OperandTrait) {
		return types.MaybeNoSuchOverloadErr(args[0])
	}
	switch {
	case n == 1 && m.of.Unary != nil:
		return m.of.Unary(args[0])
	case n == 2 && m.of.Binary != nil:
		return m.of.Binary(args[0], args[1])
	case m.of.Function != nil:
		return m.of.Function(append([]ref.Val(nil), args[:n]...)...)
	case m.Function() == operators.Negate || n > 2:
		return types.NoSuchOverloadErr()
	default:
		return types.MaybeNoSuchOverloadErr(args[0])
	}
}

// isPlain says that nothing takes long with a value.
func isPlain(v ref.Val) bool {
	switch v.(type) {
	case types.Int, types.Uint, types.Double, types.Bool, types.Null, types.Timestamp, types.Duration, *types.Type:
		return true
	default:
		return false
	}
}

// textLength is the number of bytes of a text, 0 of all else.
func textLength(v ref.Val) int {
	switch v := v.(type) {
	case types.String:
		return len(v)
	case types.Bytes:
		return len(v)
	default:
		return 0
	}
}

// size is the number of elements, 0 of what has none.
func size(v ref.Val) int {
	switch v := v.(type) {
	case traits.Lister:
		return int(v.Size().(types.Int))
	case traits.Mapper:
		return int(v.Size().(types.Int))
	default:
		return 0
	}
}

// weigh takes the work of looking at a value and all that is in it, which may be the same value
// many times over, and returns how much that was.
func (e *evaluation) weigh(v ref.Val) int {
	before := e.work
	e.do(2*perValue + textLength(v))
	switch v := v.(type) {
	case traits.Lister:
		for it := v.Iterator(); it.HasNext() == types.True; {
			e.weigh(it.Next())
		}
	case traits.Mapper:
		for it := v.Iterator(); it.HasNext() == types.True; {
			key := it.Next()
			e.do(2 * perValue)
			e.weigh(key)
			e.weigh(v.Get(key))
		}
	}
	return e.work - before
}

// Args implements interpreter.InterpretableCall.
func (m *meteredCall) Args() []interpreter.InterpretableV2 { return m.args }
