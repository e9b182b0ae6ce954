package expression

import (
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// How many bytes a list and a map take, and each of their elements.
const (
	perList   = 64
	perListed = 16
	perMap    = 256
	perMapped = 64
)

// meteredConstructor makes a list or a map of an expression, if there is enough left.
type meteredConstructor struct {
	interpreter.InterpretableConstructor
	bytes, work int
}

func meterConstructor(c interpreter.InterpretableConstructor) interpreter.InterpretableV2 {
	constant := true
	for _, v := range c.InitVals() {
		_, ok := v.(interpreter.InterpretableConst)
		constant = constant && ok
	}
	switch {
	case constant: // it is made once
		if v := c.Eval(interpreter.EmptyActivation()); !types.IsUnknownOrError(v) {
			return interpreter.NewConstValue(c.ID(), v)
		}
	case c.Type() == types.MapType:
		return &meteredConstructor{c, perMap + perMapped*len(c.InitVals()), (6 + len(c.InitVals())) * perValue}
	}
	return &meteredConstructor{c, perList + perListed*len(c.InitVals()), perValue}
}

// Exec implements interpreter.InterpretableV2.
func (m *meteredConstructor) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	e := meterOf(frame)
	e.do(m.work)
	e.make(m.bytes)
	return m.InterpretableConstructor.Exec(frame)
}

// Eval implements interpreter.Interpretable.
func (m *meteredConstructor) Eval(vars interpreter.Activation) ref.Val {
	return m.Exec(interpreter.AsFrame(vars))
}
