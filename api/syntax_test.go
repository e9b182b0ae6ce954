package api

import (
	"strings"
	"testing"
)

// TestSyntaxProblem names the place where a body stops being JSON and the reason, and
// never repeats what stands there.
func TestSyntaxProblem(t *testing.T) {
	elements := strings.Repeat(`{"event_type":"x","data":{}},`, 617)
	deep := strings.Repeat("[", 9_999) + strings.Repeat("]", 9_999)
	for body, want := range map[string]string{
		`{"a":{"b":["hush\ud800"]}}`:  `a.b.0: Line 1, column 17 (byte offset 16): this escape is half of a surrogate pair (as in \ud83d\ude00), and the other half is missing.`,
		`{"a":"\ude00\ud83d"}`:        `a: Line 1, column 7 (byte offset 6): this escape is half of a surrogate pair (as in \ud83d\ude00), and the other half is missing.`,
		`{"\uDFFF":1}`:                `: Line 1, column 3 (byte offset 2): this escape is half of a surrogate pair (as in \ud83d\ude00), and the other half is missing.`,
		`{"a":"\xhush"}`:              `a: Line 1, column 7 (byte offset 6): this is not an escape sequence of JSON.`,
		`{"a":"\u12"}`:                `a: Line 1, column 7 (byte offset 6): this is not an escape sequence of JSON.`,
		"{\n \"ü\": \"ü\xff\"\n}":     `ü: Line 2, column 9 (byte offset 12): this byte is not valid UTF-8.`,
		"{\"a\":\"\xf0\x9f\"}":        `a: Line 1, column 7 (byte offset 6): this byte is not valid UTF-8.`,
		"{\"a\":\"x\n\"}":             `a: Line 1, column 8 (byte offset 7): a control character must be written as an escape sequence, such as \n.`,
		"{\x00}":                      `: Line 1, column 2 (byte offset 1): a control character must be written as an escape sequence, such as \n.`,
		`{"data":{"x":` + deep + `}}`: `data.x` + strings.Repeat(".0", 47) + `…: Line 1, column 10012 (byte offset 10011): arrays and objects are nested more than 10000 deep.`,

		"[" + elements + `{"data":hush}]`: `617.data: Line 1, column 17903 (byte offset 17902): a value was expected.`,
		"[" + elements + `]`:              `617: Line 1, column 17894 (byte offset 17893): a value was expected.`,
		"[" + elements + `{} {}]`:         `618: Line 1, column 17898 (byte offset 17897): a comma or ] was expected.`,
		"[" + elements + `{}`:             `618: Line 1, column 17897 (byte offset 17896): the JSON is cut off here.`,
		`{"data":[[1,2] 3]}`:              `data: Line 1, column 16 (byte offset 15): a comma or ] was expected.`,

		`hush`:                     `: Line 1, column 1 (byte offset 0): a value was expected.`,
		"\ufeff{}":                 `: Line 1, column 1 (byte offset 0): JSON must not begin with a byte order mark.`,
		`{'a':1}`:                  `: Line 1, column 2 (byte offset 1): the name of a member, in double quotes, was expected.`,
		`{"a":1,}`:                 `: Line 1, column 8 (byte offset 7): the name of a member, in double quotes, was expected.`,
		`{"a" 1}`:                  `a: Line 1, column 6 (byte offset 5): a colon was expected.`,
		`{"secret":"hush" "hush"}`: `: Line 1, column 18 (byte offset 17): a comma or } was expected.`,
		`{"a":01}`:                 `: Line 1, column 7 (byte offset 6): a comma or } was expected.`,
		`{"a":-}`:                  `a: Line 1, column 7 (byte offset 6): a digit was expected.`,
		`{"a":nil}`:                `a: Line 1, column 7 (byte offset 6): true, false or null was expected.`,
		`{"a":"hush`:               `a: Line 1, column 11 (byte offset 10): the JSON is cut off here.`,
		`{"a":1`:                   `: Line 1, column 7 (byte offset 6): the JSON is cut off here.`,
		"{} \n hush":               `: Line 2, column 2 (byte offset 5): the JSON has ended, and only white space may follow it.`,
		"[] ]":                     `: Line 1, column 4 (byte offset 3): the JSON has ended, and only white space may follow it.`,
	} {
		p := syntaxProblem([]byte(body))
		if p == nil || p.Status != 400 || len(p.Errors) != 1 {
			t.Errorf("%.50q: got %+v", body, p)
			continue
		}
		if got := p.Errors[0].Field + ": " + p.Errors[0].Detail; got != want {
			t.Errorf("%.50q: got\n%s\nwant\n%s", body, got, want)
		}
	}
	for _, body := range []string{`{}`, ` [1,2] `, `null`, `{"a":1,"a":2}`, `{"a":"\ud83d\ude00\u2028\/"}`} {
		if p := syntaxProblem([]byte(body)); p != nil {
			t.Errorf("%q: got %+v", body, p.Errors)
		}
	}
}
