package caddymodule_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"testing"
)

// TestTokensAreComparedInConstantTime reads the code, for no clock can tell: the
// role of callers is found by find alone, which compares by crypto/subtle, and
// with every token, whichever is the right one.
func TestTokensAreComparedInConstantTime(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "access.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	functions := make(map[string]*ast.FuncDecl)
	for _, decl := range file.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok {
			functions[f.Name.Name] = f
		}
	}
	all, compared := 0, 0
	ast.Inspect(functions["caller"], func(n ast.Node) bool {
		if isTokens(n) {
			all++
		}
		if call, ok := n.(*ast.CallExpr); ok && isNamed(call.Fun, "find") && isTokens(call.Args[0]) {
			compared++
		}
		return true
	})
	if all == 0 || all != compared {
		t.Errorf("caller looks at tokens %d times, %d of them by find", all, compared)
	}

	bySubtle := false
	ast.Inspect(functions["find"].Body, func(n ast.Node) bool {
		loop, ok := n.(*ast.RangeStmt)
		if !ok {
			return true
		}
		ast.Inspect(loop.Body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				bySubtle = bySubtle || isNamed(n.X, "subtle") && n.Sel.Name == "ConstantTimeCompare"
			case *ast.ReturnStmt, *ast.BranchStmt, *ast.IfStmt, *ast.BinaryExpr:
				t.Errorf("find decides while it compares: %T", n)
			}
			return true
		})
		return false
	})
	if !bySubtle {
		t.Error("find does not compare by crypto/subtle")
	}
}

// isTokens says whether it is a field with tokens.
func isTokens(n ast.Node) bool {
	s, ok := n.(*ast.SelectorExpr)
	return ok && s.Sel.Name == "tokens"
}

func isNamed(n ast.Node, name string) bool {
	id, ok := n.(*ast.Ident)
	return ok && id.Name == name
}
