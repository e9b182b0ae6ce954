package expression

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// eachFunction is what loops go through, by a name that no expression can have.
const eachFunction = "@each"

// each gives what it is given. Its guard takes what a loop needs that evaluates so many values at
// each step.
var each = cel.Function(eachFunction, cel.Overload("each_dyn_int", []*cel.Type{cel.DynType, cel.IntType}, cel.DynType,
	cel.BinaryBinding(func(v, _ ref.Val) ref.Val { return v })))

func guardEach(e *evaluation, args []ref.Val) {
	e.do(perLoop + times(size(args[0])+1, int(args[1].(types.Int))*perValue))
}

// keyFunction is what keys go through that a text of the event may be.
const keyFunction = "@key"

// key gives what it is given. Its guard takes what finding a member by that needs, which the plan
// has no call for.
var key = cel.Function(keyFunction, cel.Overload("key_dyn", []*cel.Type{cel.DynType}, cel.DynType,
	cel.UnaryBinding(func(v ref.Val) ref.Val { return v })))

func guardKey(e *evaluation, args []ref.Val) { e.do(textLength(args[0])) }

// meterAST has all loops of a checked expression go through each, and all keys that are not
// constant through key.
func meterAST(of *ast.AST) {
	w := &wrapper{of, ast.NewExprFactory(), ast.MaxID(of)}
	scopes := countScopes(of.Expr())
	ast.PostOrderVisit(of.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.ComprehensionKind:
			loop := e.AsComprehension()
			w.next++
			n := values(loop.LoopStep()) + values(loop.LoopCondition())
			steps := w.factory.NewLiteral(w.next, types.Int(n+n*scopes[e.ID()]/perScope))
			w.wrap(loop.IterRange(), eachFunction, steps)
		case ast.CallKind:
			if call := e.AsCall(); call.FunctionName() == operators.Index {
				w.wrapKey(call.Args()[1])
			}
		case ast.MapKind:
			for _, entry := range e.AsMap().Entries() {
				w.wrapKey(entry.AsMapEntry().Key())
			}
		}
	}))
}

// perLoop is the work of a loop without steps.
const perLoop = 6 * perValue

// perScope is in how many scopes a value takes twice as long to find as in one.
const perScope = 12

// countScopes finds in the steps of how many others each loop is.
func countScopes(e ast.Expr) map[int64]int {
	scopes := make(map[int64]int)
	inner := ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.ComprehensionKind {
			scopes[e.ID()]++
		}
	})
	ast.PreOrderVisit(e, ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.ComprehensionKind {
			ast.PreOrderVisit(e.AsComprehension().LoopCondition(), inner)
			ast.PreOrderVisit(e.AsComprehension().LoopStep(), inner)
		}
	}))
	return scopes
}

// wrapper puts calls around expressions.
type wrapper struct {
	of      *ast.AST
	factory ast.ExprFactory
	next    int64 // the last id that is in use
}

func (w *wrapper) wrapKey(e ast.Expr) {
	if e.Kind() != ast.LiteralKind {
		w.wrap(e, keyFunction)
	}
}

// wrap makes an expression a call with what it was as the first argument, under another id.
func (w *wrapper) wrap(e ast.Expr, function string, more ...ast.Expr) {
	w.next++
	inner := w.factory.NewUnspecifiedExpr(w.next)
	inner.SetKindCase(e)
	if place, ok := w.of.SourceInfo().GetOffsetRange(e.ID()); ok {
		w.of.SourceInfo().SetOffsetRange(w.next, place)
	}
	if t, ok := w.of.TypeMap()[e.ID()]; ok {
		w.of.SetType(w.next, t)
	}
	if r, ok := w.of.ReferenceMap()[e.ID()]; ok {
		w.of.SetReference(w.next, r)
		delete(w.of.ReferenceMap(), e.ID())
	}
	e.SetKindCase(w.factory.NewCall(e.ID(), function, append([]ast.Expr{inner}, more...)...))
}

// values counts the values that an expression evaluates, if its loops have no steps: those are
// taken for at the loop.
func values(e ast.Expr) int {
	n := 0
	ast.PreOrderVisit(e, ast.NewExprVisitor(func(ast.Expr) { n++ }))
	return n
}
