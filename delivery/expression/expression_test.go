package expression

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestExpressions(t *testing.T) {
	data := `{"severity":3,"big":9223372036854775807,"huge":18446744073709551615,"ratio":0.1,"whole":2.0,"site":{"name":"Höfe","tags":["a","b"]},"text":"eu-west-1","none":null,"items":[{"n":1},{"n":2}]}`
	in := func() *Input {
		return NewInput(Event{
			Type: "alert_active", ID: "0190b6f0-0000-7000-8000-000000000001", Tenant: "acme",
			OccurredAt: time.Date(2026, 11, 29, 10, 0, 0, 0, time.UTC), Data: []byte(data),
		})
	}
	for _, test := range []struct {
		kind           Kind
		source, result string
	}{
		{Filter, `data.severity >= 3 && event_type == "alert_active"`, `true`},
		{Filter, `data.severity in [1, 2]`, `false`},
		{Filter, `data.site.name == "Höfe"`, `true`},
		{Filter, `"b" in data.site.tags`, `true`},
		{Filter, `data[data.site.tags[0] + "x"] == 1 || data["site"].tags[data.items[0].n] == "b"`, `true`},
		{Transform, `{data.text: {tenant: [1].map(x, [x][x - 1])}}`, `{"eu-west-1":{"acme":[1]}}`},
		{Filter, `has(data.site.name) && !has(data.site.zip)`, `true`},
		{Filter, `data.text.matches("^eu-")`, `true`},
		{Filter, `data.text.matches(data.site.name)`, `false`},
		{Filter, `data.items.exists(i, i.n == 2)`, `true`},
		{Filter, `sets.contains(data.site.tags, ["a"])`, `true`},
		{Filter, `occurred_at.getHours() == 10 && occurred_at < timestamp("2027-01-01T00:00:00Z")`, `true`},
		{Filter, `data.big == 9223372036854775807`, `true`},
		{Filter, `data.severity > 2.5`, `true`},
		{Filter, `data.none == null`, `true`},
		{OrderBy, `tenant + "/" + data.text`, `"acme/eu-west-1"`},
		{OrderBy, `''`, `""`},
		{OrderBy, `string(data.severity)`, `"3"`},
		{Transform, `data`, `{"big":9223372036854775807,"huge":18446744073709551615,"items":[{"n":1},{"n":2}],"none":null,"ratio":0.1,"severity":3,"site":{"name":"Höfe","tags":["a","b"]},"text":"eu-west-1","whole":2}`},
		{Transform, `{"text": "%s at %d".format([event_type, data.severity]), "id": event_id}`, `{"id":"0190b6f0-0000-7000-8000-000000000001","text":"alert_active at 3"}`},
		{Transform, `[occurred_at, duration("90s"), b"ab", 1u, -1, 1.5, null, true, {1: 2}]`, `["2026-11-29T10:00:00Z","90s","YWI=",1,-1,1.5,null,true,{"1":2}]`},
		{Transform, `data.items.map(i, i.n * 2)`, `[2,4]`},
		{Transform, `data.text.split("-").join("_").upperAscii().replace("E", "e")`, `"eU_WeST_1"`},
		{Transform, `base64.encode(b"hello") + data.text.substring(0, 2)`, `"aGVsbG8=eu"`},
		{Transform, `json.encode({"a": data.big})`, `"{\"a\":9223372036854775807}"`},
		{Transform, `"a\nb\"<>"`, `"a\nb\"<>"`},
	} {
		p, err := Compile(test.kind, test.source)
		if err != nil {
			t.Errorf("%s: %v", test.source, err)
			continue
		}
		got, err := p.JSON(context.Background(), in())
		if err != nil || string(got) != test.result {
			t.Errorf("%s gives %s, %v; want %s", test.source, got, err, test.result)
		}
	}
}

func TestCompileErrors(t *testing.T) {
	for _, test := range []struct {
		kind           Kind
		source, reason string
	}{
		{Filter, "", "an expression must not be empty; for none, use null"},
		{Filter, `dat.severity > 1`, `line 1, column 1: undeclared reference to 'dat'`},
		{Filter, "true &&\n  event_type == 1", `line 2, column 14: found no matching overload for '_==_' applied to '(string, int)'`},
		{Filter, `1 +`, `line 1, column 4: Syntax error: mismatched input '<EOF>'`},
		{Filter, `event_type`, `line 1, column 1: the expression gives a value of the type string, but filter must give a bool`},
		{OrderBy, `1`, `line 1, column 1: the expression gives a value of the type int, but order_by must give a string`},
		{Transform, `type(1)`, `line 1, column 1: the expression gives a value of the type type(int), but transform must give a JSON value`},
		{Filter, `event_type.matches("(")`, "line 1, column 20: error parsing regexp: missing closing ): `(`"},
		{Filter, `event_type.matches("(a{10}){100}")`, `line 1, column 20: the pattern is too large`},
		{Filter, strings.Repeat(" ", 2048) + "1", "an expression for this may have at most 2048 bytes"},
		{Filter, strings.Repeat("(", 1000) + "true" + strings.Repeat(")", 1000), "line 1, column "},
	} {
		_, err := Compile(test.kind, test.source)
		if _, ok := errors.AsType[*Error](err); !ok || !strings.HasPrefix(err.Error(), test.reason) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.50s: %v; want %s", test.source, err, test.reason)
		}
	}
}

func TestEvaluationErrors(t *testing.T) {
	for _, test := range []struct {
		kind           Kind
		source, reason string
	}{
		{Filter, `data.missing == 1`, "line 1, column 5: no such key: missing"},
		{Filter, "true &&\n data.text > 1", "line 2, column 12: no such overload"},
		{Filter, `data.text`, "the expression gave a value of the type string, but filter must give a bool"},
		{OrderBy, `data.n`, "the expression gave a value of the type int, but order_by must give a string"},
		{Transform, `1 / 0`, "line 1, column 3: division by zero"},
		{Transform, `[1.0 / 0.0]`, "a number of the result is infinite or not a number, which JSON does not have"},
		{Transform, `[type(1)]`, "a value of the type type is not JSON"},
		{Transform, `{1: 2, "1": 3}`, "two keys of an object of the result are the same as strings"},
	} {
		p, err := Compile(test.kind, test.source)
		if err != nil {
			t.Errorf("%s: %v", test.source, err)
			continue
		}
		_, err = p.JSON(context.Background(), NewInput(Event{Data: []byte(`{"text":"x","n":1}`)}))
		if _, ok := errors.AsType[*Error](err); !ok || err.Error() != test.reason {
			t.Errorf("%s: %v; want %s", test.source, err, test.reason)
		}
	}
}
