package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// keptStream is a client that comes back whenever its stream ends.
type keptStream struct {
	site *caddySite
	stop chan struct{}
	done sync.WaitGroup

	mu    sync.Mutex
	rows  []string // ids
	began int      // streams
}

// keepFollowing follows the log until the test ends or wantLog is called.
func (s *caddySite) keepFollowing(query string) *keptStream {
	s.t.Helper()
	k := &keptStream{site: s, stop: make(chan struct{})}
	e := s.follow(query)
	last := e.wantEvent("start").id
	k.done.Go(func() {
		for {
			k.mu.Lock()
			k.began++
			k.mu.Unlock()
			if !k.read(e, &last) {
				e.cancel()
				return
			}
			var err error
			if e, err = s.tryFollow(query, "Last-Event-ID", last); err != nil {
				s.t.Error(err)
				return
			}
		}
	})
	s.t.Cleanup(k.end)
	return k
}

// read takes events until the stream ends; false if no other is wanted.
func (k *keptStream) read(e *eventStream, last *string) bool {
	for {
		select {
		case event, ok := <-e.events:
			switch {
			case !ok:
				return true
			case event.name == "reset":
				k.site.t.Error("the place is lost")
			case event.name == "" && !event.comment:
				var row request
				if err := json.Unmarshal([]byte(event.data), &row); err != nil {
					k.site.t.Error(err)
				}
				k.mu.Lock()
				k.rows = append(k.rows, row.ID)
				k.mu.Unlock()
			}
			if event.id != "" {
				*last = event.id
			}
		case <-k.stop:
			return false
		}
	}
}

func (k *keptStream) end() {
	k.mu.Lock()
	select {
	case <-k.stop:
	default:
		close(k.stop)
	}
	k.mu.Unlock()
	k.done.Wait()
}

func (k *keptStream) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.rows)
}

// ends is how often the stream has ended.
func (k *keptStream) ends() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.began - 1
}

// wantLog ends the following, and fails the test unless every row of the log came, once.
func (k *keptStream) wantLog() []string {
	t := k.site.t
	t.Helper()
	var want []string
	eventually(t, "all rows of the log to come", func() bool {
		want = want[:0]
		for _, row := range k.site.wholeLog() {
			want = append(want, row.ID)
		}
		return k.count() >= len(want)
	})
	k.end()
	got := slices.Clone(k.rows)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%d rows came, %d are in the log, and they are not the same", len(got), len(want))
	}
	return k.rows
}

// TestStreamReload reloads again and again under load: streams end, and who comes back
// gets each request once.
func TestStreamReload(t *testing.T) {
	onBothStores(t, func(t *testing.T, store string) {
		endpoint := newReceiver(t)
		config := siteConfig{webhooks: endpoint.configOf(store)}
		s := startSite(t, config)
		s.subscribe(endpoint)
		followers := []*keptStream{s.keepFollowing(""), s.keepFollowing("?status=success")}
		l := s.startLoad(nil)
		const times = 10
		for i := range times {
			for _, f := range followers { // else one end may be that of two reloads
				eventually(t, "the stream to begin again", func() bool { return f.ends() >= i })
			}
			config.webhooks = endpoint.configOf(store) + fmt.Sprintf("timeout %ds\n", 20+i)
			if err := s.load(config); err != nil {
				t.Fatal(err)
			}
			l.some(t, 20)
		}
		for _, f := range followers {
			eventually(t, "the stream to begin again", func() bool { return f.ends() >= times })
		}
		events := l.stop()
		s.wantOneRowEach(events)
		orders := [][]string{followers[0].wantLog(), followers[1].wantLog()}
		if !slices.Equal(orders[0], orders[1]) {
			t.Error("two streams have the same requests in different orders")
		}
	})
}

// TestStreamChangedStore goes to another store, and takes the app away: streams end, and
// the place in the first store is none in the second.
func TestStreamChangedStore(t *testing.T) {
	endpoint := newReceiver(t)
	first, second := "embedded "+t.TempDir(), "redis redis://"+redistest.Start(t).Addr
	s := startSite(t, siteConfig{webhooks: endpoint.configOf(first)})
	s.subscribe(endpoint)
	e := s.follow("")
	e.wantEvent("start")
	if err := s.load(siteConfig{webhooks: endpoint.configOf(second)}); err != nil {
		t.Fatal(err)
	}
	e.wantEnd()
	s.subscribe(endpoint)
	again := s.follow("", "Last-Event-ID", e.last)
	again.wantEvent("start")
	again.wantEvent("reset")
	s.emitMany(1)
	again.row()
	if err := s.load(siteConfig{noApp: true}); err != nil {
		t.Fatal(err)
	}
	again.wantEnd()
}

// TestStreamRollback fails to reload: streams go on.
func TestStreamRollback(t *testing.T) {
	endpoint := newReceiver(t)
	config := siteConfig{webhooks: endpoint.configOf("embedded " + t.TempDir())}
	s := startSite(t, config)
	s.subscribe(endpoint)
	e := s.follow("")
	e.wantEvent("start")
	s.loadInVain(config)
	s.emitMany(1)
	e.row()
}

// TestStreamStop stops Caddy, which waits for all calls for as long as they take.
func TestStreamStop(t *testing.T) {
	t.Parallel()
	onBothStores(t, func(t *testing.T, store string) {
		endpoint := newReceiver(t)
		s := newStopperOf(t, endpoint, store)
		s.start()
		s.subscribe(endpoint.URL, "*")
		var streams []*eventStream
		for range 5 {
			streams = append(streams, s.site.follow(""))
			streams[len(streams)-1].wantEvent("start")
		}
		s.site.emitMany(1)
		for _, e := range streams {
			e.row()
		}
		began := time.Now()
		if err := s.child.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		s.ended()
		t.Logf("ended after %s", time.Since(began))
		for _, e := range streams {
			e.wantEnd()
		}
	})
}

// TestStreamOtherCaddy has two Caddys on one Redis: each streams what the other sent.
func TestStreamOtherCaddy(t *testing.T) {
	t.Parallel()
	store := "redis redis://" + redistest.Start(t).Addr
	endpoint := newReceiver(t)
	here, there := newStopperOf(t, endpoint, store), newStopperOf(t, endpoint, store)
	here.start()
	there.start()
	here.subscribe(endpoint.URL, "*")
	var streams []*eventStream
	for _, s := range []*stopper{here, there} {
		streams = append(streams, s.site.follow(""))
		streams[len(streams)-1].wantEvent("start")
	}
	for i := range 6 {
		events := []*stopper{here, there}[i%2].site.emitMany(1)
		for _, e := range streams {
			if row := e.row(); row.EventID != events[0] {
				t.Errorf("a request of event %s came, want %s", row.EventID, events[0])
			}
		}
	}
	// A place in one is a place in the other.
	last := streams[0].last
	want := here.site.emitMany(1)
	streams[1].row() // it is in the log
	here.kill()
	back := there.site.follow("", "Last-Event-ID", last)
	back.wantEvent("start")
	if row := back.row(); row.EventID != want[0] {
		t.Errorf("a request of event %s came, want %s", row.EventID, want[0])
	}
}
