package api_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/api"
)

// file is a file of a declared type.
func file(content string) api.TypeFile {
	return api.TypeFile{Name: "file.json", Content: []byte(content)}
}

const deviceSchema = ` {"required": ["price"], "properties": {"price": {"type": "number"}}} `

// declaredTypes are three of the standard names, whose schemas the OpenAPI document knows.
func declaredTypes() config {
	c := newConfig().withLoopback()
	c.declared = []api.DeclaredType{
		{Name: "group_created", Description: "A group.", Schema: file(deviceSchema), Example: file(` {"price": 1.50} `)},
		{Name: "group_updated", Schema: file(deviceSchema)},
		{Name: "group_deleted"},
	}
	return c
}

// TestDeclaredTypes has what is declared in the list, and nothing that is not.
func TestDeclaredTypes(t *testing.T) {
	s := start(t, declaredTypes())
	var got struct{ Data json.RawMessage }
	s.admin("GET", "api/event-types", "").want(t, 200, &got)
	const schema = `{"required":["price"],"properties":{"price":{"type":"number"}}}`
	want := `[{"name":"group_created","description":"A group.","schema":` + schema + `,"example":{"price":1.50}},` +
		`{"name":"group_updated","description":"A group's name or configuration is changed.","schema":` + schema + `,"example":null},` +
		`{"name":"group_deleted","description":"A device group is permanently deleted.","schema":null,"example":{"group_id":"example-group","name":"Example group"}}]`
	if string(got.Data) != want {
		t.Errorf("got %s", got.Data)
	}
	if fields := s.emit(`{"event_type":"alert_active","data":{}}`).wantProblem(t, 422).fields(); fields != "event_type" {
		t.Errorf("fields are %q", fields)
	}
}

// TestDataThatDoNotFit emits events whose data are not as the schema of their type has them, in
// the ways in which bodies are read. All or none are accepted.
func TestDataThatDoNotFit(t *testing.T) {
	s := start(t, declaredTypes())
	const right, wrong = `{"event_type":"group_created","data":{"price":1}}`, `{"event_type":"group_created","data":{"price":"1"}}`
	for _, tc := range []struct {
		name, body string
		want       int
		fields     string
	}{
		{"right", right, 202, ""},
		{"wrong", wrong, 422, "data.price"},
		{"missing", `{"event_type":"group_updated","data":{}}`, 422, "data.price"},
		{"an escape", `{"event_type":"group_\u0063reated","data":{"price":"1"}}`, 422, "data.price"},
		{"an escape, right", `{"event_type":"group_\u0063reated","data":{"price":1}}`, 202, ""},
		{"no schema", `{"event_type":"group_deleted","data":{"price":"1"}}`, 202, ""},
		{"array", "[" + right + "," + wrong + "," + right + `,{"data":{},"event_type":"group_updated"}]`, 422, "1.data.price 3.data.price"},
		{"no object", `{"event_type":"group_created","data":[]}`, 422, "data"},
		{"something else is wrong, too", `[{"event_type":"group_created","data":{"price":"1"}},{"event_type":"none","data":{}}]`, 422, "1.event_type"},
		{"large", `{"event_type":"group_created","data":{"price":"1","x":"` + strings.Repeat("x", 64<<10) + `"}}`, 422, "data.price"},
		{"large, right", `{"event_type":"group_created","data":{"price":1,"x":"` + strings.Repeat("x", 64<<10) + `"}}`, 202, ""},
		{"many", "[" + strings.TrimSuffix(strings.Repeat(wrong+",", 1000), ",") + "]", 422, strings.TrimSuffix(strings.Repeat("%.data.price ", 20), " ")},
	} {
		got := s.emit(tc.body)
		if tc.want == 202 {
			got.want(t, 202, nil)
			continue
		}
		want := tc.fields
		for i := range strings.Count(want, "%") {
			want = strings.Replace(want, "%", strconv.Itoa(i), 1)
		}
		if fields := got.wantProblem(t, tc.want).fields(); fields != want {
			t.Errorf("%s: fields are %q", tc.name, fields)
		}
	}
	s.wantCalm()
}

// TestExamples tests webhooks of types with and without an example. No test event is sent that
// its schema would refuse.
func TestExamples(t *testing.T) {
	s := start(t, declaredTypes())
	endpoint := newReceiver(t)
	var hook webhook
	s.admin("POST", "api/webhooks", `{"url":"`+endpoint.URL+`"}`).want(t, 201, &hook)
	path := "api/webhooks/" + hook.ID + "/test"
	s.admin("POST", path, "").want(t, 200, nil)
	if got := endpoint.next(t); !strings.HasSuffix(got, `"data":{"price":1.50}}`) {
		t.Errorf("got %s", got)
	}
	problem := s.admin("POST", path, `{"event_type":"group_updated"}`).wantProblem(t, 422)
	if problem.fields() != "event_type" || !strings.Contains(problem.Errors[0].Detail, "has a schema but no example") {
		t.Errorf("got %+v", problem)
	}
	s.admin("POST", path, `{"event_type":"group_deleted"}`).want(t, 200, nil)
	if got := endpoint.next(t); !strings.Contains(got, `"data":{"group_id":"example-group"`) {
		t.Errorf("got %s", got)
	}
}

// TestDeclarations has sets of types, some of which cannot be.
func TestDeclarations(t *testing.T) {
	t.Parallel()
	many := make([]api.DeclaredType, 1001)
	for i := range many {
		many[i].Name = "type" + strconv.Itoa(i)
	}
	for _, tc := range []struct {
		names    []string
		declared []api.DeclaredType
		want     string
	}{
		{[]string{"a"}, []api.DeclaredType{{Name: "a"}, {Name: "b"}}, ""},
		{[]string{"*"}, []api.DeclaredType{{Name: "a"}}, ""},
		{nil, many[:1000], ""},
		{nil, many, "event_types: there are 1001, and 1000 are the most"},
		{[]string{"a"}, many[:1000], "event_types: there are 1001, and 1000 are the most"},
		{nil, []api.DeclaredType{{Name: "a"}, {Name: "a"}}, "event_type: 'a' is declared twice"},
		{nil, []api.DeclaredType{{Name: "a\nb"}}, "event_type: the name of an event type must have only printable characters"},
		{nil, []api.DeclaredType{{Name: "a", Description: strings.Repeat("ü", 1001)}}, "event_type a: the description must have at most 1000 characters"},
		{nil, []api.DeclaredType{{Name: "a", Example: file(`[1]`)}}, "event_type a: example: file.json: the file must have a JSON object"},
		{nil, []api.DeclaredType{{Name: "a", Example: file(`{`)}}, "event_type a: example: file.json: the file is not JSON: Line 1, column 2 (byte offset 1): the JSON is cut off here"},
		{
			nil,
			[]api.DeclaredType{{Name: "a", Schema: file(deviceSchema), Example: file(`{"price":"1"}`)}},
			"event_type a: example: file.json: data.price does not fit the schema: This must be a number.",
		},
	} {
		_, err := api.NewEventTypes(tc.names, tc.declared...)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got %v, want %q", err, tc.want)
		}
	}
}

// TestAnyAndDeclared accepts any type beside the one that is declared.
func TestAnyAndDeclared(t *testing.T) {
	c := declaredTypes()
	c.eventTypes = []string{"*"}
	s := start(t, c)
	s.emit(`{"event_type":"alert_active","data":{}}`).want(t, 202, nil)
	s.emit(`{"event_type":"group_created","data":{"price":1}}`).want(t, 202, nil)
	s.emit(`{"event_type":"group_created","data":{}}`).wantProblem(t, 422)
	var list struct{ Data []struct{ Name string } }
	if err := json.Unmarshal(s.admin("GET", "api/event-types", "").body, &list); err != nil || len(list.Data) != 3 {
		t.Errorf("got %+v, %v", list, err)
	}
}
