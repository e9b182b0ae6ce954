package caddymodule_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// wantCalm wants nothing in the log that somebody would have to look after.
func (s *caddySite) wantCalm() {
	s.t.Helper()
	log, err := os.ReadFile(s.log)
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, `"level":"error"`) && !strings.Contains(line, "/hooks/api/health") || strings.Contains(line, "panic") {
			s.t.Errorf("the log says %.2000s", line)
		}
	}
}

// dial sends the beginning of a call, as it is.
func (s *caddySite) dial(beginning string) net.Conn {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := io.WriteString(conn, beginning); err != nil {
		s.t.Fatal(err)
	}
	return conn
}

// emitHead begins an emit whose body has so many bytes.
func emitHead(length int) string {
	return fmt.Sprintf("POST /hooks/api/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", asEmitter, length)
}

// TestClientsGoAway breaks calls off: in the middle of the body, and while they
// wait for a Redis that hangs. Nothing is left of them.
func TestClientsGoAway(t *testing.T) {
	redis := redistest.Start(t)
	s := startSite(t, siteConfig{webhooks: "store redis redis://" + redis.Addr})
	s.ready()
	event := `{"event_type":"group_created","event_id":"` + noID + `","data":{}}`
	s.emit(event).want(t, 202, nil)
	http.DefaultClient.CloseIdleConnections()
	before := runtime.NumGoroutine()
	const clients = 50
	for i := range clients {
		s.dial(emitHead(len(event)+1) + event[:i]).Close()
	}

	if err := redis.Freeze(); err != nil {
		t.Fatal(err)
	}
	var conns []net.Conn
	for range clients {
		conns = append(conns, s.dial(emitHead(len(event))+event))
	}
	eventually(t, "the calls to wait for the store", func() bool { return runtime.NumGoroutine() >= before+clients })
	for _, conn := range conns {
		conn.Close()
	}
	eventually(t, "the calls to end", func() bool { return runtime.NumGoroutine() < before+clients/2 })
	if err := redis.Thaw(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "an emit", func() bool { return s.emit(event).status == http.StatusAccepted })
	http.DefaultClient.CloseIdleConnections()
	eventually(t, "goroutines to end", func() bool { return runtime.NumGoroutine() <= before+5 })
	s.wantCalm()
}

// TestHalfClosed has clients that stop sending but still read. None of them is
// told a success.
func TestHalfClosed(t *testing.T) {
	redis := redistest.Start(t)
	s := startSite(t, siteConfig{webhooks: "store redis redis://" + redis.Addr})
	s.ready()
	event := `{"event_type":"group_created","event_id":"` + noID + `","data":{}}`
	if got := s.answerTo(emitHead(len(event)) + event[:20]); !strings.HasPrefix(got, "HTTP/1.1 400") {
		t.Errorf("half a body is answered with %q", got)
	}
	if err := redis.Freeze(); err != nil {
		t.Fatal(err)
	}
	// One of them writes into the store and cannot be broken off; the others wait
	// for it.
	const clients = 5
	answers := make(chan string)
	for range clients {
		go func() { answers <- s.answerTo(emitHead(len(event)) + event) }()
	}
	for range clients - 1 {
		if got := <-answers; got != "" {
			t.Errorf("a call that was broken off is answered with %q", got)
		}
	}
	if err := redis.Thaw(); err != nil {
		t.Fatal(err)
	}
	if got := <-answers; got != "" && !strings.HasPrefix(got, "HTTP/1.1 202") {
		t.Errorf("the first call is answered with %q", got)
	}
	s.wantCalm()
}

// answerTo sends something, nothing more, and reads what comes until the end.
func (s *caddySite) answerTo(sent string) string {
	conn := s.dial(sent)
	defer conn.Close()
	if tcp, ok := conn.(*net.TCPConn); !ok || tcp.CloseWrite() != nil {
		s.t.Error("cannot stop sending")
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		s.t.Error(err)
	}
	return string(answer)
}

// TestSlowBody sends a body that stops coming. How long that may last is up to
// Caddy; a call that it ends is answered, and leaves nothing behind.
func TestSlowBody(t *testing.T) {
	for _, option := range []string{"read_body 300ms", "read_body_idle 300ms"} {
		t.Run(option, func(t *testing.T) {
			s := startSite(t, siteConfig{
				webhooks: "store redis redis://" + redistest.Start(t).Addr,
				global:   "servers {\ntimeouts {\n" + option + "\n}\n}",
			})
			s.ready()
			conn := s.dial(emitHead(1000) + `{"event_type":"group_created",`)
			defer conn.Close()
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if res.StatusCode != http.StatusBadRequest {
				t.Errorf("got %s", res.Status)
			}
			s.wantCalm()
		})
	}
}

// hostileSite takes any event type and has the tenant in a header.
func hostileSite(t *testing.T) *caddySite {
	t.Helper()
	s := startSite(t, siteConfig{
		webhooks: "store redis redis://" + redistest.Start(t).Addr + "\nevent_types *\ndestinations {\nallow 127.0.0.0/8\n}",
		handler:  "insecure_no_auth\ntenant {header.X-Tenant}",
	})
	s.ready()
	return s
}

// hostile makes a call that is none of a documented client's.
func (s *caddySite) hostile(method, path, body string, headers ...string) reply {
	s.t.Helper()
	headers = append([]string{"X-Tenant", "default"}, headers...)
	got, err := exchangeWith(http.DefaultClient, method, "http://"+s.addr+path, body, headers...)
	if err != nil {
		s.t.Fatalf("%s %.100s: %v", method, path, err)
	}
	return got.reply
}

// TestHostileEvents emits what may be JSON and is hard to swallow. What is taken
// in comes out again, digit for digit.
func TestHostileEvents(t *testing.T) {
	s := hostileSite(t)
	nested := func(n int) string { return `{"x":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}` }
	for name, c := range map[string]struct {
		data string
		want int
	}{
		"deep":                       {nested(9_000), 202},
		"too deep":                   {nested(20_000), 400},
		"much too deep":              {nested(500_000), 400},
		"deep objects":               {strings.Repeat(`{"":`, 9_000) + "1" + strings.Repeat("}", 9_000), 202},
		"never ending":               {strings.Repeat(`{"x":[`, 100_000), 400},
		"1 MB string":                {`{"x":"` + strings.Repeat("x", 1_000_000) + `"}`, 202},
		"1 MB of escapes":            {`{"x":"` + strings.Repeat(`\u0000`, 170_000) + `"}`, 202},
		"1 MB name":                  {`{"` + strings.Repeat("x", 1_000_000) + `":1}`, 202},
		"1 MB name twice":            {`{"` + strings.Repeat("x", 500_000) + `":1,"` + strings.Repeat("x", 500_000) + `":1}`, 422},
		"1 MB number":                {`{"x":` + strings.Repeat("9", 1_000_000) + `}`, 202},
		"huge exponents":             {`{"x":[1e999999999999999999999,-1E-999999999999999999999,-0.0e+00]}`, 202},
		"many members":               {`{` + manyMembers(60_000) + `}`, 202},
		"NUL escaped":                {`{"\u0000":"\u0000"}`, 202},
		"NUL":                        {"{\"x\":\"\x00\"}", 400},
		"NUL outside":                {"{\x00}", 400},
		"controls":                   {"{\"x\":\"\x1f\"}", 400},
		"DEL and friends":            {"{\"x\":\"\x7f\u2028\u2029\ufeff\uffff\"}", 202},
		"surrogate pair":             {`{"x":"\ud83d\ude00"}`, 202},
		"lone surrogate":             {`{"x":"\ud800"}`, 400},
		"lone surrogate in a name":   {`{"\udfff":1}`, 400},
		"surrogates in wrong order":  {`{"x":"\ude00\ud83d"}`, 400},
		"surrogate in UTF-8":         {"{\"x\":\"\xed\xa0\x80\"}", 400},
		"invalid UTF-8":              {"{\"x\":\"\xff\"}", 400},
		"overlong UTF-8":             {"{\"x\":\"\xc0\x80\"}", 400},
		"cut UTF-8":                  {"{\"x\":\"\xf0\x9f\"}", 400},
		"invalid UTF-8 in a name":    {"{\"\xff\":1}", 400},
		"names that are the same":    {`{"a":1,"\u0061":2}`, 422},
		"names that are not":         {`{"a":1,"A":2," a":3,"":4}`, 202},
		"not a number":               {`{"x":NaN}`, 400},
		"leading zero":               {`{"x":01}`, 400},
		"members with a meaning":     {`{"__proto__":{"x":1},"constructor":{},"$ref":"#"}`, 202},
		"the end of another's world": {`{"x":"</script><!--' OR 1=1;--\r\n{env.HOME}{http.request.host}%s%n"}`, 202},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.hostile("POST", "/hooks/api/events", `{"event_type":"any","data":`+c.data+`}`)
			if c.want != 202 {
				got.wantProblem(t, c.want)
				return
			}
			var r receipt
			got.want(t, 202, &r)
			want := `"data":` + strings.ReplaceAll(c.data, `\ud83d\ude00`, "😀") + `,"received_at"`
			if ev := s.hostile("GET", "/hooks/api/events/"+r.EventID, ""); ev.status != 200 || !strings.Contains(string(ev.body), want) {
				t.Errorf("comes out as %d %.300s", ev.status, ev.body)
			}
		})
	}
	// A byte order mark is not JSON (RFC 8259, section 8.1).
	s.hostile("POST", "/hooks/api/events", "\ufeff{}").wantProblem(t, 400)
	// A thousand events with all the same mistakes: some of them are named.
	wrong := `{"event_type":"","event_id":"x","occurred_at":"x","data":1},`
	if p := s.hostile("POST", "/hooks/api/events", "["+strings.Repeat(wrong, 999)+wrong[:len(wrong)-1]+"]").wantProblem(t, 422); len(p.Errors) != 20 {
		t.Errorf("%d mistakes are named", len(p.Errors))
	}
	s.wantCalm()
}

func manyMembers(n int) string {
	var members strings.Builder
	for i := range n {
		fmt.Fprintf(&members, `,"%d":%d`, i, i)
	}
	return members.String()[1:]
}

// TestHostileWebhooks has members of webhooks that are hard to swallow. What is
// taken is shown as it was given, and a test of it is answered.
func TestHostileWebhooks(t *testing.T) {
	s := hostileSite(t)
	types := func(n int) string {
		return `["` + strings.Join(strings.Split(strings.Repeat("x", n), ""), `","`) + `"]`
	}
	for name, c := range map[string]struct {
		members string
		want    int
	}{
		"1 MB description":              {`"description":"` + strings.Repeat("x", 1_000_000) + `"`, 422},
		"1 MB secret":                   {`"secret":"` + strings.Repeat("x", 1_000_000) + `"`, 422},
		"1 MB URL":                      {`"url":"https://example.com/` + strings.Repeat("x", 1_000_000) + `"`, 422},
		"1 MB event type":               {`"event_types":["` + strings.Repeat("x", 1_000_000) + `"]`, 422},
		"1 MB name":                     {`"` + strings.Repeat("x", 1_000_000) + `":1`, 422},
		"2000 types":                    {`"event_types":` + types(2000), 422},
		"1000 types":                    {`"event_types":` + types(1000), 201},
		"200,000 types":                 {`"event_types":` + types(200_000), 422},
		"long type":                     {`"event_types":["` + strings.Repeat("x", 128) + `"]`, 201},
		"too long type":                 {`"event_types":["` + strings.Repeat("x", 129) + `"]`, 422},
		"too long type in bytes":        {`"event_types":["` + strings.Repeat("ü", 65) + `"]`, 422},
		"type with NUL":                 {`"event_types":["\u0000"]`, 422},
		"type like a key":               {`"event_types":["a:b/c*{0} d"]`, 201},
		"deep":                          {`"description":` + strings.Repeat("[", 100_000), 400},
		"deep and whole":                {`"description":` + strings.Repeat("[", 5_000) + strings.Repeat("]", 5_000), 422},
		"huge number":                   {`"enabled":1e999999999`, 422},
		"NUL in description":            {`"description":"\u0000"`, 201},
		"NUL in secret":                 {`"secret":"\u0000"`, 201},
		"controls in description":       {`"description":"\r\n\t\u001b[31m\u202e"`, 201},
		"lone surrogate":                {`"description":"\ud800"`, 400},
		"lone surrogate in secret":      {`"secret":"\udc00"`, 400},
		"invalid UTF-8":                 {"\"description\":\"\xff\"", 400},
		"invalid UTF-8 in secret":       {"\"secret\":\"\xff\"", 400},
		"twice":                         {`"enabled":true,"enabled":true`, 422},
		"twice by escapes":              {`"enabled":true,"\u0065nabled":false`, 422},
		"NUL in URL":                    {`"url":"https://example.com/\u0000"`, 422},
		"NUL in host":                   {`"url":"https://127.0.0.1\u0000.example.com/"`, 422},
		"line break in URL":             {`"url":"https://127.0.0.1:1/\r\nX-Header: 1"`, 422},
		"escaped line break in URL":     {`"url":"https://127.0.0.1:1/%0d%0aX-Header:%201"`, 201},
		"zone":                          {`"url":"https://[fe80::1%25lo]/"`, 422},
		"two ports":                     {`"url":"https://127.0.0.1:1:1/"`, 422},
		"no brackets":                   {`"url":"https://::1/"`, 422},
		"percent":                       {`"url":"https://127.0.0.1:1/%"`, 422},
		"percent in host":               {`"url":"https://%31%32%37.0.0.1:1/"`, 422},
		"backslash":                     {`"url":"https:\\\\127.0.0.1:1/"`, 422},
		"host of dots":                  {`"url":"https://..../"`, 201},
		"long label":                    {`"url":"https://` + strings.Repeat("x", 1000) + `/"`, 201},
		"host that is not ASCII":        {`"url":"https://127。0。0。1:1/"`, 201},
		"host with direction":           {`"url":"https://\u202e1.0.0.127:1/"`, 201},
		"path that is not ASCII":        {`"url":"https://127.0.0.1:1/ü?ü=\u2028"`, 201},
		"placeholders are not replaced": {`"url":"https://127.0.0.1:1/{env.HOME}","description":"{env.HOME}{http.request.host}"`, 201},
	} {
		t.Run(name, func(t *testing.T) {
			body := `{` + c.members + `}`
			if !strings.Contains(c.members, `"url"`) {
				body = `{"url":"https://127.0.0.1:1/",` + c.members + `}`
			}
			got := s.hostile("POST", "/hooks/api/webhooks", body)
			if c.want != 201 {
				got.wantProblem(t, c.want)
				return
			}
			var hook, again webhook
			got.want(t, 201, &hook)
			path := "/hooks/api/webhooks/" + hook.ID
			s.hostile("GET", path, "").want(t, 200, &again)
			if fmt.Sprint(hook) != fmt.Sprint(again) {
				t.Errorf("got %+v and %+v", hook, again)
			}
			var row request
			s.hostile("POST", path+"/test", "").want(t, 200, &row)
			if row.Status != "failed" || row.Error == "" || row.StatusCode != nil {
				t.Errorf("the test is %+v", row)
			}
		})
	}
	s.wantCalm()
}

// TestHostileCalls has paths, queries and headers that are hard to swallow.
func TestHostileCalls(t *testing.T) {
	s := hostileSite(t)
	long := strings.Repeat("x", 10_000)
	for name, c := range map[string]struct {
		method, path string
		headers      []string
		want         int
	}{
		"long id":                     {"GET", "/api/webhooks/" + long, nil, 404},
		"NUL in id":                   {"GET", "/api/webhooks/" + noID[:35] + "%00", nil, 404},
		"invalid UTF-8 in id":         {"GET", "/api/events/%ff%fe", nil, 404},
		"invalid UTF-8 in path":       {"GET", "/%ff", nil, 404},
		"escaped slash":               {"GET", "/api%2Fwebhooks", nil, 200},
		"up":                          {"GET", "/api/webhooks/../requests", nil, 200},
		"escaped up":                  {"GET", "/api/webhooks/%2e%2e/requests", nil, 200},
		"many parts":                  {"DELETE", "/api/webhooks" + strings.Repeat("/x", 4_000), nil, 404},
		"other method":                {"BREW", "/api/webhooks", nil, 405},
		"method that only looks like": {"get", "/api/webhooks", nil, 405},
		"long query":                  {"GET", "/api/requests?event_type=" + long, nil, 400},
		"long name":                   {"GET", "/api/requests?" + long + "=1", nil, 400},
		"many parameters":             {"GET", "/api/requests?" + strings.Repeat("limit=1&", 1_000), nil, 400},
		"only separators":             {"GET", "/api/requests?" + strings.Repeat("&", 1_000), nil, 200},
		"nothing but an =":            {"GET", "/api/requests?=", nil, 400},
		"invalid UTF-8 in name":       {"GET", "/api/requests?%ff=1", nil, 400},
		"invalid UTF-8 in value":      {"GET", "/api/requests?status=%ff", nil, 400},
		"NUL in value":                {"GET", "/api/requests?event_type=%00", nil, 400},
		"half an escape":              {"GET", "/api/requests?limit=%", nil, 400},
		"huge limit":                  {"GET", "/api/requests?limit=" + strings.Repeat("9", 1_000), nil, 400},
		"far future":                  {"GET", "/api/requests?since=9999-12-31T23:59:59.999999999Z", nil, 200},
		"far past":                    {"GET", "/api/requests?until=0002-01-01T00:00:00Z", nil, 200},
		"since after until":           {"GET", "/api/requests?since=2026-01-01T00:00:00Z&until=2025-01-01T00:00:00Z", nil, 200},
		"long fraction":               {"GET", "/api/requests?since=2026-01-01T00:00:00." + strings.Repeat("1", 5_000) + "Z", nil, 200},
		"greatest cursor":             {"GET", "/api/requests?cursor=Af____________________8", nil, 200},
		"long cursor":                 {"GET", "/api/requests?cursor=" + long, nil, 400},
		"invalid UTF-8 in tenant":     {"GET", "/api/webhooks", []string{"X-Tenant", "\xff"}, 400},
		"long tenant":                 {"GET", "/api/webhooks", []string{"X-Tenant", long}, 400},
		"placeholder in tenant":       {"GET", "/api/webhooks", []string{"X-Tenant", "{http.request.host}"}, 400},
		"tenant like a key":           {"GET", "/api/webhooks", []string{"X-Tenant", "a:b"}, 400},
		"long origin":                 {"DELETE", "/api/webhooks/x", []string{"Origin", long}, 403},
		"invalid UTF-8 in origin":     {"DELETE", "/api/webhooks/x", []string{"Origin", "\xff"}, 403},
		"media type":                  {"PATCH", "/api/webhooks/x", []string{"Content-Type", strings.Repeat(";", 5_000)}, 415},
		"media type with parameters":  {"PATCH", "/api/webhooks/x", []string{"Content-Type", "application/json" + strings.Repeat(";charset=utf-8", 500)}, 400},
		"invalid UTF-8 in media type": {"PATCH", "/api/webhooks/x", []string{"Content-Type", "application/json;charset=\xff"}, 415},
		"too much for Caddy":          {"GET", "/api/requests?" + strings.Repeat("x", 100_000), nil, 431},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.hostile(c.method, "/hooks"+c.path, "", c.headers...)
			if got.want(t, c.want, nil); c.want != 200 && c.want != 431 {
				got.wantProblem(t, c.want)
			}
		})
	}
	s.wantCalm()
}
