package expression

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
)

// Validators of checked expressions. The environment must not have them: it would make a text of all
// that is wrong, with a copy of the expression for each mistake.
var validators = []cel.ASTValidator{cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals()}

// check parses an expression and checks its types. Cel.Env.Compile would not do: what it checks can
// take exponential time, and what it says about many mistakes, a second.
func check(env *cel.Env, kind Kind, source string) (*cel.Ast, error) {
	parsed, issues := env.Parse(source)
	if err := firstError(issues); err != nil {
		return nil, err
	}
	if err := boundTypes(parsed.NativeRep(), kind); err != nil {
		return nil, err
	}
	empty := fillEmpty(parsed.NativeRep())
	checked, issues := env.Check(parsed)
	if err := firstError(issues); err != nil {
		return nil, err
	}
	of := checked.NativeRep()
	emptyAgain(of, empty)
	issues = cel.NewIssuesWithSourceInfo(common.NewErrors(checked.Source()), of.SourceInfo())
	for _, v := range validators {
		v.Validate(env, nil, of, issues)
	}
	return checked, firstError(issues)
}

// firstError is the mistake that comes first in the expression, nil if there is none.
func firstError(issues *cel.Issues) error {
	var first *cel.Error
	for _, one := range issues.Errors() {
		if first == nil || before(one.Location, first.Location) {
			first = one
		}
	}
	if first == nil {
		return nil
	}
	return compileError(first)
}

func before(a, b common.Location) bool {
	return a.Line() < b.Line() || a.Line() == b.Line() && a.Column() < b.Column()
}

// Functions that stand for empty lists and maps while types are checked, by names that no expression
// can have.
const (
	emptyList = "@list"
	emptyMap  = "@map"
)

var empties = []cel.EnvOption{
	cel.Function(emptyList, cel.Overload("empty_list", nil, cel.ListType(cel.DynType))),
	cel.Function(emptyMap, cel.Overload("empty_map", nil, cel.MapType(cel.DynType, cel.DynType))),
}

// fillEmpty has empty lists and maps be of values of any type. Otherwise their types are unknown,
// and found by how they are used: then they could become larger than boundTypes can tell.
func fillEmpty(of *ast.AST) map[int64]bool {
	found, factory := make(map[int64]bool), ast.NewExprFactory()
	ast.PreOrderVisit(of.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch {
		case e.Kind() == ast.ListKind && e.AsList().Size() == 0:
			e.SetKindCase(factory.NewCall(e.ID(), emptyList))
		case e.Kind() == ast.MapKind && e.AsMap().Size() == 0:
			e.SetKindCase(factory.NewCall(e.ID(), emptyMap))
		default:
			return
		}
		found[e.ID()] = true
	}))
	return found
}

// emptyAgain undoes what fillEmpty did.
func emptyAgain(of *ast.AST, found map[int64]bool) {
	if len(found) == 0 {
		return
	}
	factory := ast.NewExprFactory()
	ast.PreOrderVisit(of.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if !found[e.ID()] || e.Kind() != ast.CallKind {
			return
		}
		switch e.AsCall().FunctionName() {
		case emptyList:
			e.SetKindCase(factory.NewList(e.ID(), nil, nil))
		case emptyMap:
			e.SetKindCase(factory.NewMap(e.ID(), nil))
		default:
			return
		}
		delete(of.ReferenceMap(), e.ID())
	}))
}
