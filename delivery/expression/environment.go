package expression

import (
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/decls"
	"cel.dev/cel-go/common/functions"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/ext"
)

// Names of what expressions see.
const (
	varType       = "event_type"
	varID         = "event_id"
	varTenant     = "tenant"
	varOccurredAt = "occurred_at"
	varData       = "data"
)

// Limits of what the parser makes of an expression, before it is evaluated.
const (
	maxNodes       = 5000
	maxExprNesting = 100
)

var environment = sync.OnceValues(func() (*cel.Env, error) {
	env, err := cel.NewEnv(append(empties,
		cel.Variable(varType, cel.StringType),
		cel.Variable(varID, cel.StringType),
		cel.Variable(varTenant, cel.StringType),
		cel.Variable(varOccurredAt, cel.TimestampType),
		cel.Variable(varData, cel.MapType(cel.StringType, cel.DynType)),
		cel.CrossTypeNumericComparisons(true),
		cel.DefaultUTCTimeZone(true),
		ext.Strings(ext.StringsVersion(5), ext.StringsMaxPrecision(20)),
		ext.Encoders(ext.EncodersVersion(0)), // whose json.encode takes integers for doubles
		ext.Sets(),
		each,
		key,
		cel.Function("json.encode", cel.Overload("json_encode_dyn", []*cel.Type{cel.DynType}, cel.StringType, cel.UnaryBinding(encodeJSON))),
		cel.ParserRecursionLimit(maxExprNesting),
		cel.ParserErrorRecoveryLimit(2),
		cel.ParserExpressionSizeLimit(Transform.MaxLength()),
		cel.ExpressionNodeLimit(maxNodes),
	)...)
	if err != nil {
		return nil, err
	}
	declared = env.Functions()
	implementations, err = findImplementations(env)
	return env, err
})

var programOptions = []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize), cel.CustomDecoratorV2(meter)}

// implementations of functions, by the ids of their overloads and by their names, for calls whose
// overload depends on what is evaluated.
var implementations map[string]*functions.Overload

// declared are the functions that expressions may call, by their names.
var declared map[string]*decls.FunctionDecl

func findImplementations(env *cel.Env) (map[string]*functions.Overload, error) {
	found := make(map[string]*functions.Overload)
	for _, function := range env.Functions() {
		overloads, err := function.Bindings()
		if err != nil {
			return nil, err
		}
		for _, o := range overloads {
			found[o.Operator] = o
		}
	}
	found[operators.Add] = addingLists(found[operators.Add])
	found[operators.Equals] = &functions.Overload{Operator: operators.Equals, Binary: types.Equal}
	found[operators.NotEquals] = &functions.Overload{Operator: operators.NotEquals, Binary: func(a, b ref.Val) ref.Val {
		return types.Bool(types.Equal(a, b) != types.True)
	}}
	return found, nil
}

// addingLists makes one list of two. The library would make a view of both: one of many takes long
// to look at.
func addingLists(o *functions.Overload) *functions.Overload {
	flat := *o
	flat.Binary = func(a, b ref.Val) ref.Val {
		first, ok := a.(traits.Lister)
		second, ok2 := b.(traits.Lister)
		if !ok || !ok2 || grows(a) {
			return o.Binary(a, b)
		}
		both := make([]ref.Val, 0, size(a)+size(b))
		for _, l := range []traits.Lister{first, second} {
			for i := range size(l) {
				both = append(both, l.Get(types.Int(i)))
			}
		}
		return types.NewRefValList(types.DefaultTypeAdapter, both)
	}
	return &flat
}

// grows says whether a list is one that a loop makes, to which elements are appended.
func grows(v ref.Val) bool {
	_, ok := v.(traits.MutableLister)
	return ok
}

func encodeJSON(v ref.Val) ref.Val {
	w := writer{most: MaxMemory, values: maxWritten}
	if err := w.value(v, 0); err != nil {
		return types.WrapErr(err)
	}
	return types.String(w.buf)
}
