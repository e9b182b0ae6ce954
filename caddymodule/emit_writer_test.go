package caddymodule

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// callLog is a ResponseWriter that notes what is called, as a server sees it.
type callLog struct {
	header http.Header
	calls  []string
	fails  bool // the client has gone
	took   bool // the server has taken the header
}

func (l *callLog) note(format string, args ...any) {
	l.calls = append(l.calls, fmt.Sprintf(format, args...))
}

func (l *callLog) headers() (text string) {
	for _, name := range slices.Sorted(maps.Keys(l.header)) {
		text += fmt.Sprintf(" %s=%q", name, l.header[name])
	}
	return text
}

// take notes a call with which a server takes the header, unless it has it.
func (l *callLog) take(call string) {
	if !l.took {
		call += l.headers()
	}
	l.took = true
	l.note("%s", call)
}

func (l *callLog) Header() http.Header { return l.header }
func (l *callLog) FlushError() error   { l.take("flush"); return nil }

func (l *callLog) WriteHeader(status int) {
	switch {
	case status < 200 && status != 101:
		l.note("status %d%s", status, l.headers())
	case !l.took: // else it is superfluous
		l.take(fmt.Sprint("status ", status))
	}
}

func (l *callLog) Write(p []byte) (int, error) {
	l.take(fmt.Sprintf("write %q", p))
	if l.fails {
		return 0, io.ErrClosedPipe
	}
	return len(p), nil
}

func (l *callLog) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	l.note("hijack")
	return nil, nil, nil
}

func (l *callLog) Push(target string, _ *http.PushOptions) error {
	l.note("push %s", target)
	return nil
}

// quickLog also takes whole readers.
type quickLog struct{ *callLog }

func (l quickLog) ReadFrom(r io.Reader) (int64, error) {
	all, err := io.ReadAll(r)
	l.take(fmt.Sprintf("read %q", all))
	return int64(len(all)), err
}

// answers are what handlers do.
var answers = map[string]func(w http.ResponseWriter, r *http.Request) error{
	"nothing":   func(http.ResponseWriter, *http.Request) error { return nil },
	"an error":  func(http.ResponseWriter, *http.Request) error { return errors.New("no upstream") },
	"no status": func(w http.ResponseWriter, _ *http.Request) error { _, _ = io.WriteString(w, `{"a":1}`); return nil },
	"status and writes": func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("X-A", "1")
		w.WriteHeader(201)
		w.Header().Set("X-Late", "1")
		_, _ = io.WriteString(w, `{"a":`)
		w.WriteHeader(500) // superfluous
		_, _ = io.WriteString(w, `1}`)
		return nil
	},
	"another status": func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(404)
		_, _ = io.WriteString(w, `{}`)
		return nil
	},
	"informational": func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Link", "</a>")
		w.WriteHeader(103)
		w.Header().Del("Link")
		w.WriteHeader(200)
		return nil
	},
	"flushes": func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(200)
		c := http.NewResponseController(w)
		for range 3 {
			_, _ = io.WriteString(w, "x")
			if err := c.Flush(); err != nil {
				return err
			}
		}
		return nil
	},
	"a flush first": func(w http.ResponseWriter, _ *http.Request) error { return http.NewResponseController(w).Flush() },
	"trailers": func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Trailer", "X-Sum")
		w.WriteHeader(200)
		_, _ = io.WriteString(w, "{}")
		w.Header().Set("X-Sum", "7")
		w.Header().Set(http.TrailerPrefix+"X-More", "8")
		return nil
	},
	"a reader": func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(200)
		_, err := io.CopyN(w, strings.NewReader(strings.Repeat("r", 100)), 60)
		return err
	},
	"a reader that breaks off": func(w http.ResponseWriter, _ *http.Request) error {
		_, err := io.Copy(w, io.LimitReader(iotest.TimeoutReader(iotest.HalfReader(strings.NewReader("{}"))), 10))
		return err
	},
	"more than max_size": func(w http.ResponseWriter, _ *http.Request) error {
		for range 5 {
			_, _ = io.WriteString(w, strings.Repeat("m", 300))
		}
		return http.NewResponseController(w).Flush()
	},
	"a length above max_size": func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Length", "5000")
		w.WriteHeader(200)
		_, err := io.Copy(w, io.LimitReader(strings.NewReader(strings.Repeat("m", 5000)), 5000))
		return err
	},
	"no content": func(w http.ResponseWriter, _ *http.Request) error { w.WriteHeader(204); return nil },
	"an upgrade": func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Upgrade", "websocket")
		w.WriteHeader(101)
		_, _, err := http.NewResponseController(w).Hijack()
		return err
	},
	"a push": func(w http.ResponseWriter, _ *http.Request) error {
		pusher, ok := w.(http.Pusher)
		if !ok {
			return errors.New("cannot push")
		}
		err := pusher.Push("/style", nil)
		_, _ = io.WriteString(w, "{}")
		return err
	},
	"a panic": func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Length", "10")
		w.WriteHeader(200)
		_, _ = io.WriteString(w, "{}")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	},
	"a panic at the end": func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Length", "2")
		w.WriteHeader(200)
		_, _ = io.WriteString(w, "{}")
		panic(http.ErrAbortHandler)
	},
	"a stream": func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		w.WriteHeader(200)
		_, _ = io.WriteString(w, "data: 1\n\n")
		return http.NewResponseController(w).Flush()
	},
	"the request": func(w http.ResponseWriter, r *http.Request) error {
		w.WriteHeader(200)
		_, err := io.Copy(w, r.Body)
		return err
	},
	"many small writes": func(w http.ResponseWriter, _ *http.Request) error {
		for range 900 {
			_, _ = io.WriteString(w, "s")
		}
		return nil
	},
}

// emitForms are configurations of webhooks_emit that must change nothing.
var emitForms = map[string]Emit{
	"response":         {EventType: "device_created", MaxSize: 1000},
	"request":          {EventType: "device_created", MaxSize: 1000, Data: "request"},
	"text":             {EventType: "device_created", MaxSize: 1000, Data: `{"n":"{http.request.body.n}{http.response.status}"}`},
	"header":           {FromHeader: "X-Event", MaxSize: 1000},
	"strict, response": {EventType: "device_created", MaxSize: 1000, Strict: true},
	"strict, request":  {EventType: "device_created", MaxSize: 1000, Strict: true, Data: "request"},
	"strict, text":     {EventType: "device_created", MaxSize: 1000, Strict: true, Data: "{}"},
	"strict, header":   {FromHeader: "X-Event", MaxSize: 1000, Strict: true},
}

// startedApp is an app in force whose store is a folder.
func startedApp(t testing.TB) *App {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	t.Cleanup(cancel)
	a := &App{StoreRaw: fmt.Appendf(nil, `{"module":"embedded","folder":%q}`, t.TempDir())}
	if err := a.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Cleanup(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// resolved is a form that is ready for use.
func resolved(t testing.TB, a *App, form Emit) *Emit {
	t.Helper()
	if err := form.resolve(caddy.NewReplacer()); err != nil {
		t.Fatal(err)
	}
	form.app = a
	return &form
}

// serve lets a handler answer, and returns what a server sees of it.
func serve(handler caddyhttp.Handler, w http.ResponseWriter, l *callLog) []string {
	const body = `{"n":1}`
	r := httptest.NewRequest(http.MethodPost, "/", struct{ io.Reader }{strings.NewReader(body)})
	r.ContentLength = int64(len(body))
	defer func() {
		if p := recover(); p != nil {
			l.note("panic %v", p)
		}
		l.note("end%s", l.headers()) // with trailers
	}()
	err := handler.ServeHTTP(w, r)
	l.note("returns %v", err)
	return l.calls
}

// TestEmitWriterChangesNothing holds the calls that a server sees with webhooks_emit to those
// without it, one by one and in their order.
func TestEmitWriterChangesNothing(t *testing.T) {
	a := startedApp(t)
	for form, emit := range emitForms {
		for name, answer := range answers {
			for kind, fails := range map[string]bool{"client": false, "client that has gone": true} {
				for _, quick := range []bool{false, true} {
					if emit.Strict && (quick || fails) {
						continue // what has waited is written, and to whoever is there
					}
					next := caddyhttp.HandlerFunc(answer)
					with := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
						return resolved(t, a, emit).ServeHTTP(w, r, next)
					})
					got, want := record(with, fails, quick), record(next, fails, quick)
					if !slices.Equal(got, want) {
						t.Errorf("%s, %s, %s: got\n\t%s\nwant\n\t%s", form, name, kind, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
					}
				}
			}
		}
	}
}

func record(handler caddyhttp.Handler, fails, quick bool) []string {
	l := &callLog{header: http.Header{"Server": {"Caddy"}}, fails: fails}
	var w http.ResponseWriter = l
	if quick {
		w = quickLog{l}
	}
	serve(handler, w, l)
	return l.calls
}

// TestEmitMemory gives all memory back, however an answer ends.
func TestEmitMemory(t *testing.T) {
	a := startedApp(t)
	for _, emit := range emitForms {
		for _, answer := range answers {
			for _, fails := range []bool{false, true} {
				next := caddyhttp.HandlerFunc(answer)
				record(caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
					w.Header().Set("X-Event", "device_created")
					return resolved(t, a, emit).ServeHTTP(w, r, next)
				}), fails, false)
			}
		}
	}
	gateway.leave(a) // which waits for the queue
	if reserved, waiting := gateway.reserved.Load(), gateway.waiting.Load(); reserved != 0 || waiting != 0 {
		t.Errorf("%d bytes and %d events are left", reserved, waiting)
	}
}

// TestEmitTakesHeadersOut takes out the application's headers wherever a handler puts them.
func TestEmitTakesHeadersOut(t *testing.T) {
	a := startedApp(t)
	for name, answer := range map[string]func(http.ResponseWriter) error{
		"status":        func(w http.ResponseWriter) error { w.WriteHeader(200); return nil },
		"another":       func(w http.ResponseWriter) error { w.WriteHeader(404); return nil },
		"write":         func(w http.ResponseWriter) error { _, _ = io.WriteString(w, "{}"); return nil },
		"flush":         func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() },
		"informational": func(w http.ResponseWriter) error { w.WriteHeader(103); return nil },
		"nothing":       func(http.ResponseWriter) error { return nil },
		"error":         func(http.ResponseWriter) error { return errors.New("no upstream") },
		"trailer": func(w http.ResponseWriter) error {
			w.WriteHeader(200)
			w.Header().Set("X-Event", "a")
			w.Header().Set(http.TrailerPrefix+"X-Event-Id", "a")
			return nil
		},
	} {
		for _, strict := range []bool{false, true} {
			emit := resolved(t, a, Emit{FromHeader: "x-event", Strict: strict})
			calls := record(caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
				return emit.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
					w.Header().Set("X-Event", "device_created")
					w.Header().Set("X-Event-Id", "1")
					return answer(w)
				}))
			}), false, false)
			if text := strings.Join(calls, "\n"); strings.Contains(text, "X-Event") {
				t.Errorf("%s: the client sees\n%s", name, text)
			}
		}
	}
}

// TestEmitOutOfMemory lets answers pass that cannot be copied, and refuses strict ones.
func TestEmitOutOfMemory(t *testing.T) {
	a := startedApp(t)
	gateway.limit.Store(0)
	defer gateway.limit.Store(defaultQueueSize)
	for form, emit := range emitForms {
		if emit.FromHeader != "" {
			continue
		}
		calls := record(caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			return resolved(t, a, emit).ServeHTTP(w, r, caddyhttp.HandlerFunc(answers["the request"]))
		}), false, false)
		text := strings.Join(calls, "\n")
		if refused := strings.Contains(text, "status 502"); refused != emit.Strict || refused == strings.Contains(text, `{\"n\":1}`) {
			t.Errorf("%s: the client sees\n%s", form, text)
		}
	}
}
