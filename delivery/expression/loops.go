package expression

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
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
	e.do(times(size(args[0])+1, int(args[1].(types.Int))*perValue))
}

// meterLoops has all loops of a checked expression go through each.
func meterLoops(of *ast.AST) {
	factory := ast.NewExprFactory()
	next := ast.MaxID(of)
	ast.PostOrderVisit(of.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.ComprehensionKind {
			return
		}
		loop := e.AsComprehension()
		steps := values(loop.LoopStep()) + values(loop.LoopCondition())
		over := loop.IterRange()
		next += 2
		inner := factory.CopyExpr(over)
		inner.RenumberIDs(func(id int64) int64 {
			if id == over.ID() {
				return next
			}
			return id
		})
		if place, ok := of.SourceInfo().GetOffsetRange(over.ID()); ok {
			of.SourceInfo().SetOffsetRange(next, place)
		}
		if t, ok := of.TypeMap()[over.ID()]; ok {
			of.SetType(next, t)
		}
		if r, ok := of.ReferenceMap()[over.ID()]; ok {
			of.SetReference(next, r)
			delete(of.ReferenceMap(), over.ID())
		}
		count := factory.NewLiteral(next-1, types.Int(steps))
		over.SetKindCase(factory.NewCall(over.ID(), eachFunction, inner, count))
	}))
}

// values counts the values that an expression evaluates, if its loops have no steps: those are
// taken for at the loop.
func values(e ast.Expr) int {
	n := 0
	ast.PreOrderVisit(e, ast.NewExprVisitor(func(ast.Expr) { n++ }))
	return n
}
