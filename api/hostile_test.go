package api_test

import (
	"fmt"
	"strings"
	"testing"
)

// hostileSite takes any event type.
func hostileSite(t *testing.T) *site {
	t.Helper()
	c := newConfig().withLoopback()
	c.settings.Destinations.AllowHTTP = false
	c.eventTypes = []string{"*"}
	return start(t, c)
}

// hostileData are what may be JSON and is hard to swallow, and the status of an event with it.
var hostileData = map[string]struct {
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
}

// TestHostileEvents emits what may be JSON and is hard to swallow. What is taken
// in comes out again, digit for digit.
func TestHostileEvents(t *testing.T) {
	s := hostileSite(t)
	for name, c := range hostileData {
		t.Run(name, func(t *testing.T) {
			got := s.hostile("POST", "/hooks/api/events", `{"event_type":"any","data":`+c.data+`}`)
			if c.want != 202 {
				got.wantProblem(t, c.want)
				return
			}
			var r receipt
			got.want(t, 202, &r)
			want := `"data":` + c.data + `,"received_at"`
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

func nested(n int) string { return `{"x":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}` }

func manyMembers(n int) string {
	var members strings.Builder
	for i := range n {
		fmt.Fprintf(&members, `,"%d":%d`, i, i)
	}
	return members.String()[1:]
}

func typeNames(n int) string {
	return `["` + strings.Join(strings.Split(strings.Repeat("x", n), ""), `","`) + `"]`
}

// hostileMembers are members of webhooks that are hard to swallow, and the status of creating one.
var hostileMembers = map[string]struct {
	members string
	want    int
}{
	"1 MB description":              {`"description":"` + strings.Repeat("x", 1_000_000) + `"`, 422},
	"1 MB secret":                   {`"secret":"` + strings.Repeat("x", 1_000_000) + `"`, 422},
	"1 MB URL":                      {`"url":"https://example.com/` + strings.Repeat("x", 1_000_000) + `"`, 422},
	"1 MB event type":               {`"event_types":["` + strings.Repeat("x", 1_000_000) + `"]`, 422},
	"1 MB name":                     {`"` + strings.Repeat("x", 1_000_000) + `":1`, 422},
	"2000 types":                    {`"event_types":` + typeNames(2000), 422},
	"1000 types":                    {`"event_types":` + typeNames(1000), 201},
	"200,000 types":                 {`"event_types":` + typeNames(200_000), 422},
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
	"host with direction":           {`"url":"https://\u202e1.0.0.127:1/"`, 422},
	"path that is not ASCII":        {`"url":"https://127.0.0.1:1/ü?ü=\u2028"`, 201},
	"placeholders are not replaced": {`"url":"https://127.0.0.1:1/{env.HOME}","description":"{env.HOME}{http.request.host}"`, 201},
}

// TestHostileWebhooks has members of webhooks that are hard to swallow. What is
// taken is shown as it was given, and a test of it is answered.
func TestHostileWebhooks(t *testing.T) {
	s := hostileSite(t)
	for name, c := range hostileMembers {
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
