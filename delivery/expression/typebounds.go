package expression

import (
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
)

const (
	// maxTypeSize bounds the types of an expression, in lists, maps and what is in them: that of
	// [{"a": 1}] has a size of 4.
	maxTypeSize = 40
	// typeWorkPerByte is how much checking an expression's types may take for each byte that an
	// expression may have: see typeBounds.work.
	typeWorkPerByte = 120
)

// boundTypes refuses an expression whose types would take long to check: those of nested loops can
// become exponentially large, and each call makes the following ones dearer.
func boundTypes(of *ast.AST, kind Kind) error {
	b := typeBounds{of: map[string]int{varData: 3}}
	b.size(of.Expr())
	at := of.SourceInfo().GetStartLocation(b.tooLarge)
	switch {
	case b.tooLarge != 0:
		return &Error{Line: max(at.Line(), 1), Column: max(at.Column(), 0) + 1, Reason: "lists and maps are nested too deep"}
	case b.work() > typeWorkPerByte*kind.MaxLength():
		return &Error{Reason: "the expression has too many calls and operators"}
	}
	return nil
}

// typeBounds is what can be told of the types of an expression before they are checked.
type typeBounds struct {
	of       map[string]int // the sizes of variables' types
	tooLarge int64          // the id of the first expression of a type that is too large; 0 if there is none
	tries    int            // how often it is looked whether types go together
	unknown  int            // how many types are found by that, of which each try makes a copy
	large    int            // what comes on top for large types
}

// work is about how long it takes to check types, in some 0.1 µs.
func (b *typeBounds) work() int { return b.tries*b.unknown + b.large }

// try counts so many looks at a type.
func (b *typeBounds) try(times, size int) {
	b.tries += times
	b.large += times * size * size * size / 20
}

// size is how large the type of an expression can be.
func (b *typeBounds) size(e ast.Expr) int {
	n := b.sizeOf(e)
	if n > maxTypeSize && b.tooLarge == 0 {
		b.tooLarge = e.ID()
	}
	return min(n, maxTypeSize)
}

func (b *typeBounds) sizeOf(e ast.Expr) int {
	switch e.Kind() {
	case ast.IdentKind:
		return max(b.of[e.AsIdent()], 1)
	case ast.SelectKind:
		return max(b.size(e.AsSelect().Operand())-2, 1)
	case ast.CallKind:
		return b.call(e.AsCall())
	case ast.ListKind:
		n := b.largestOf(e.AsList().Elements())
		b.try(e.AsList().Size(), n)
		return 1 + n
	case ast.MapKind:
		keys, values := 1, 1
		for _, entry := range e.AsMap().Entries() {
			keys, values = max(keys, b.size(entry.AsMapEntry().Key())), max(values, b.size(entry.AsMapEntry().Value()))
		}
		b.try(2*e.AsMap().Size(), max(keys, values))
		return 1 + keys + values
	case ast.ComprehensionKind:
		return b.loop(e.AsComprehension())
	default:
		return 1
	}
}

func (b *typeBounds) largestOf(all []ast.Expr) int {
	n := 1
	for _, e := range all {
		n = max(n, b.size(e))
	}
	return n
}

// call: no function's result is of a larger type than all of its arguments, but for a list of texts.
func (b *typeBounds) call(c ast.CallExpr) int {
	n, overloads := b.largestOf(c.Args()), 0
	if c.IsMemberFunction() {
		n = max(n, b.size(c.Target()))
	}
	if f := declared[c.FunctionName()]; f != nil {
		overloads = len(f.OverloadDecls())
		for _, overload := range f.OverloadDecls() {
			b.unknown += len(overload.TypeParams())
		}
	}
	b.try(1+overloads, n)
	b.large += (2 + overloads) * len(c.Args()) * n * n * n / 20
	if c.FunctionName() == operators.Index {
		return max(n-1, 1)
	}
	return max(n, 2)
}

func (b *typeBounds) loop(c ast.ComprehensionExpr) int {
	list := b.size(c.IterRange())
	before, beforeAccu := b.of[c.IterVar()], b.of[c.AccuVar()]
	b.of[c.AccuVar()] = b.size(c.AccuInit())
	b.of[c.IterVar()] = max(list-1, 1)
	b.try(3, list)
	b.size(c.LoopCondition())
	b.size(c.LoopStep())
	b.of[c.IterVar()] = before
	n := b.size(c.Result())
	b.of[c.AccuVar()] = beforeAccu
	return n
}
