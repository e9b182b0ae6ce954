package contracttest

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// client calls one mount of a server.
type client struct {
	base   string
	header http.Header
}

type object = map[string]any

type answer struct {
	status int
	header http.Header
	body   string
}

// admin is an admin of a tenant of its own, so that tests do not disturb each other.
func (s *server) admin() client {
	return s.mount("tenants", "Authorization", "Bearer "+adminToken, "X-Tenant", uuid.NewString())
}

// mount is a client of one mount; header has names and values in turn.
func (s *server) mount(name string, header ...string) client {
	return client{base: s.url + "/" + name}.with(header...)
}

// with sets headers; an empty value removes one.
func (c client) with(header ...string) client {
	c.header = c.header.Clone()
	if c.header == nil {
		c.header = http.Header{}
	}
	for pair := range slices.Chunk(header, 2) {
		c.header.Set(pair[0], pair[1])
		if pair[1] == "" {
			c.header.Del(pair[0])
		}
	}
	return c
}

func (c client) emitter() client { return c.with("Authorization", "Bearer "+emitToken) }

// call sends a request; a body is JSON unless a header says otherwise.
func (c client) call(t testing.TB, method, path, body string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, c.base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	maps.Copy(req.Header, c.header)
	req.Host = c.header.Get("Host")
	noRedirects := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := (&http.Client{CheckRedirect: noRedirects}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(text)}
}

// must makes a call that has to be answered with the status, and returns the object in
// the answer.
func (c client) must(t testing.TB, status int, method, path, body string) object {
	t.Helper()
	a := c.call(t, method, path, body)
	a.want(t, status)
	if a.status == 204 {
		return nil
	}
	return a.object(t)
}

func (a answer) want(t testing.TB, status int) {
	t.Helper()
	if a.status != status {
		t.Fatalf("status %d, want %d: %.500s", a.status, status, a.body)
	}
	if status >= 400 {
		a.wantProblem(t)
	}
}

// wantProblem checks that the answer is an error as RFC 9457 and the contract want it.
func (a answer) wantProblem(t testing.TB) {
	t.Helper()
	if got := mediaType(a.header); got != "application/problem+json" {
		t.Errorf("Content-Type of a %d is %q", a.status, got)
	}
	problem := a.object(t)
	for _, name := range []string{"type", "title", "detail"} {
		if s, _ := problem[name].(string); s == "" {
			t.Errorf("%s of the problem is %v: %s", name, problem[name], a.body)
		}
	}
	if number(problem["status"]) != float64(a.status) {
		t.Errorf("the problem's status is %v, the answer's is %d", problem["status"], a.status)
	}
	if a.status != 422 && problem["errors"] == nil {
		return
	}
	errs := list(problem["errors"])
	if a.status == 422 && len(errs) == 0 {
		t.Errorf("a 422 without errors: %s", a.body)
	}
	for _, e := range errs {
		if _, ok := e["field"].(string); !ok || e["detail"] == "" || e["detail"] == nil {
			t.Errorf("an error without field or detail: %s", a.body)
		}
	}
}

func (a answer) decode(t testing.TB) (v any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(a.body))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%d is not JSON: %v: %.500s", a.status, err, a.body)
	}
	return v
}

func (a answer) object(t testing.TB) object {
	t.Helper()
	o, ok := a.decode(t).(object)
	if !ok {
		t.Fatalf("not an object: %.500s", a.body)
	}
	return o
}

func mediaType(h http.Header) string {
	before, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return before
}

// number is the value of a JSON number. For anything else it is one that no test wants.
func number(v any) float64 {
	n, ok := v.(json.Number)
	if !ok {
		return -1e9
	}
	f, _ := n.Float64()
	return f
}

func list(v any) []object {
	values, _ := v.([]any)
	objects := make([]object, len(values))
	for i, v := range values {
		objects[i], _ = v.(object)
	}
	return objects
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// quote encodes a value as JSON.
func quote(v any) string {
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(v); err != nil {
		panic(err)
	}
	return strings.TrimSpace(b.String())
}

// wantMembers checks that an object has these members and no others. The contract lets
// answers grow, but then the list in the test has to grow too.
func wantMembers(t testing.TB, o object, names ...string) {
	t.Helper()
	got := slices.Sorted(maps.Keys(o))
	slices.Sort(names)
	if !slices.Equal(got, names) {
		t.Errorf("members are\n%v, want\n%v", got, names)
	}
}

// wantTime checks that a value is a time in RFC 3339 and UTC, and returns it.
func wantTime(t testing.TB, v any) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, text(v))
	if err != nil || !strings.HasSuffix(text(v), "Z") {
		t.Errorf("%v is not a time in UTC", v)
	}
	return at
}

// wantUUID checks that a value is a UUID of version 7 in lower case.
func wantUUID(t testing.TB, v any) {
	t.Helper()
	id, err := uuid.Parse(text(v))
	if err != nil || id.Version() != 7 || id.String() != v {
		t.Errorf("%v is not a UUID of version 7", v)
	}
}

// eventually waits until something is so, and fails the test if it never is.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(deadline); time.Now().Before(end); time.Sleep(pollEvery) {
		if ok() {
			return
		}
	}
	t.Fatalf("waited in vain for %s", what)
}

// webhook creates a webhook for the URL, with more members given as JSON.
func (c client) webhook(t testing.TB, url string, more ...string) object {
	t.Helper()
	members := append([]string{`"url":` + quote(url)}, more...)
	return c.must(t, 201, "POST", "/api/webhooks", "{"+strings.Join(members, ",")+"}")
}

// emit emits one small event, with more members given as JSON, and returns its receipt.
func (c client) emit(t testing.TB, more ...string) object {
	t.Helper()
	members := append([]string{`"event_type":"alert_active","data":{"n":1}`}, more...)
	return c.must(t, 202, "POST", "/api/events", "{"+strings.Join(members, ",")+"}")
}

func (c client) requests(t testing.TB, query string) []object {
	t.Helper()
	return list(c.must(t, 200, "GET", "/api/requests"+query, "")["data"])
}

// awaitRequests waits until a query finds n requests, and returns them oldest first.
func (c client) awaitRequests(t testing.TB, query string, n int) (found []object) {
	t.Helper()
	eventually(t, "requests found by "+quote(query), func() bool {
		found = c.requests(t, query)
		return len(found) >= n
	})
	if len(found) != n {
		t.Fatalf("%d requests, want %d: %v", len(found), n, found)
	}
	slices.Reverse(found)
	return found
}

// delivery is the only delivery of an event.
func (c client) delivery(t testing.TB, event any) object {
	t.Helper()
	deliveries := list(c.must(t, 200, "GET", "/api/events/"+text(event), "")["deliveries"])
	if len(deliveries) != 1 {
		t.Fatalf("%d deliveries", len(deliveries))
	}
	return deliveries[0]
}

// awaitDelivery waits until an event's only delivery has the status.
func (c client) awaitDelivery(t testing.TB, event any, status string) (d object) {
	t.Helper()
	eventually(t, "a delivery with status "+status, func() bool {
		d = c.delivery(t, event)
		return d["status"] == status
	})
	return d
}
