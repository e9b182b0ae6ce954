package expression

import (
	"context"
	"errors"
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// Kind says what an expression is for, and so what it gives.
type Kind int

// A filter gives a bool, an order a string, and a transform any JSON value.
const (
	Filter Kind = iota
	OrderBy
	Transform
)

// MaxLength is how many bytes an expression of the kind may have. Those of filters are
// remembered with the webhooks, of which a tenant may have many.
func (k Kind) MaxLength() int {
	if k == Transform {
		return 8192
	}
	return 2048
}

// String is the name of the member that has the expression.
func (k Kind) String() string { return [...]string{"filter", "order_by", "transform"}[k] }

// accepts says whether an expression of a type can give what the kind needs. What is known only
// when it is evaluated, is checked then.
func (k Kind) accepts(t *cel.Type) bool {
	switch {
	case t.Kind() == types.DynKind:
		return true
	case k == Filter:
		return t.Kind() == types.BoolKind
	case k == OrderBy:
		return t.Kind() == types.StringKind
	default:
		return t.Kind() != types.TypeKind
	}
}

func (k Kind) wanted() string { return [...]string{"a bool", "a string", "a JSON value"}[k] }

// perEvaluation is the work of an evaluation that has next to nothing to do.
const perEvaluation = 4 * WorkPerMicrosecond

// Program is a compiled expression. It never changes, and is safe for concurrent use.
type Program struct {
	kind    Kind
	ast     *cel.Ast
	program cel.Program
}

// Compile compiles an expression and checks its types. An error is an *Error.
func Compile(kind Kind, source string) (*Program, error) {
	switch most := kind.MaxLength(); {
	case source == "":
		return nil, &Error{Reason: "an expression must not be empty; for none, use null"}
	case len(source) > most:
		return nil, &Error{Reason: fmt.Sprintf("an expression for this may have at most %d bytes", most)}
	}
	env, err := environment()
	if err != nil {
		return nil, err
	}
	ast, err := check(env, kind, source)
	if err != nil {
		return nil, err
	}
	if !kind.accepts(ast.OutputType()) {
		return nil, &Error{Line: 1, Column: 1, Reason: fmt.Sprintf("the expression gives %s, but %s must give %s", typeName(ast.OutputType()), kind, kind.wanted())}
	}
	meterAST(ast.NativeRep())
	program, err := env.Program(ast, programOptions...)
	if err != nil {
		return nil, programError(ast, err)
	}
	return &Program{kind: kind, ast: ast, program: program}, nil
}

// Bool evaluates a filter. Work is what the evaluation took, which is the same each time: see
// WorkPerMicrosecond. An error is an *Error, or the context's.
func (p *Program) Bool(ctx context.Context, in *Input) (result bool, work int, err error) {
	v, work, err := p.eval(ctx, in)
	if err != nil {
		return false, work, err
	}
	b, ok := v.(types.Bool)
	if !ok {
		return false, work, p.wrongType(v)
	}
	return bool(b), work, nil
}

// Text evaluates an order. Work and the error are as with Bool.
func (p *Program) Text(ctx context.Context, in *Input) (result string, work int, err error) {
	v, work, err := p.eval(ctx, in)
	if err != nil {
		return "", work, err
	}
	s, ok := v.(types.String)
	if !ok {
		return "", work, p.wrongType(v)
	}
	return string(s), work, nil
}

// JSON evaluates an expression of any kind and returns the result as JSON, of at most MaxMemory
// bytes.
func (p *Program) JSON(ctx context.Context, in *Input) ([]byte, error) {
	v, work, err := p.eval(ctx, in)
	if err != nil {
		return nil, err
	}
	if p.kind == Filter && v.Type() != types.BoolType || p.kind == OrderBy && v.Type() != types.StringType {
		return nil, p.wrongType(v)
	}
	w := writer{most: MaxMemory, values: (maxWork - work) / perWritten}
	if err := w.value(v, 0); err != nil {
		return nil, &Error{Reason: err.Error()}
	}
	return w.buf, nil
}

func (p *Program) wrongType(v ref.Val) error {
	return &Error{Reason: fmt.Sprintf("the expression gave %s, but %s must give %s", valueName(v), p.kind, p.kind.wanted())}
}

func (p *Program) eval(ctx context.Context, in *Input) (ref.Val, int, error) {
	e := evaluation{ctx: ctx, in: in, work: perEvaluation}
	v, _, err := p.program.Eval(&e)
	if err == nil {
		return v, e.work, nil
	}
	if exceeded(err) && ctx.Err() != nil {
		return nil, e.work, context.Cause(ctx)
	}
	return nil, e.work, p.evalError(err)
}

func (p *Program) evalError(err error) error {
	if exceeded(err) {
		return &Error{Reason: "the expression takes too long, or too much memory, to evaluate"}
	}
	at := int64(0)
	if of, ok := errors.AsType[*types.Err](err); ok {
		at = of.NodeID()
	}
	return errorAt(p.ast, at, err)
}

// programError is for an expression that is right, but cannot be evaluated.
func programError(ast *cel.Ast, err error) error {
	at := int64(0)
	if of, ok := errors.AsType[*patternError](err); ok {
		at = of.id
	}
	return errorAt(ast, at, err)
}

func errorAt(ast *cel.Ast, id int64, err error) error {
	e := &Error{Reason: short(err.Error())}
	if location := ast.NativeRep().SourceInfo().GetStartLocation(id); id != 0 && location.Line() > 0 {
		e.Line, e.Column = location.Line(), location.Column()+1
	}
	return e
}
