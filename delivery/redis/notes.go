package redis

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"go.uber.org/zap"
)

// note is what a script says beside its result: see note in common.lua.
type note struct{ what, key, field, value, why string }

// noteSize is how many strings a note has in a reply.
const noteSize = 5

// What a note is about.
const (
	// noteAside: a key or a field cannot be read. The script has set it aside, unless it
	// must not write: then the note has the value.
	noteAside = "aside"
	// noteShow: Redis refused a command that writes what is only for show.
	noteShow = "show"
	// noteState: a webhook has lost its state. The value is its record.
	noteState = "state"
	// noteEvent: the event of a tenant, the key, whose id is the field, does not name a
	// webhook for which it was scheduled.
	noteEvent = "event"
)

// readNotes reads what follows the time in a reply.
func readNotes(reply []any) (notes []note) {
	for ; len(reply) >= noteSize; reply = reply[noteSize:] {
		var n note
		for i, target := range []*string{&n.what, &n.key, &n.field, &n.value, &n.why} {
			*target, _ = reply[i].(string)
		}
		notes = append(notes, n)
	}
	return notes
}

// Limits of what is remembered to have been said.
const (
	sayAgain = time.Hour
	maxSaid  = 1000
)

// troubles counts what could not be read, and remembers what was said lately.
type troubles struct {
	aside atomic.Int64

	mu   sync.Mutex
	said map[string]time.Time
}

// news reports whether something was not said lately.
func (t *troubles) news(what string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if at, ok := t.said[what]; ok && time.Since(at) < sayAgain {
		return false
	}
	if t.said == nil || len(t.said) >= maxSaid {
		t.said = make(map[string]time.Time)
	}
	t.said[what] = time.Now()
	return true
}

// heed logs what a call has noted, and does what its script left to the caller.
func (s *Store) heed(ctx context.Context, c *call) {
	var bad []unreadable
	var restored []*call
	lost := false // whether places of webhooks were
	for _, n := range c.notes {
		switch n.what {
		case noteAside:
			if c.script.readOnly {
				bad = append(bad, unreadable{key: n.key, field: n.field, value: n.value, why: n.why})
				continue
			}
			s.troubles.aside.Add(1)
			s.log.Error("a record in Redis cannot be read; it was set aside",
				zap.String("key", readable(n.key)), zap.String("field", readable(n.field)), zap.String("reason", n.why))
			lost = lost || isSchedule(strings.TrimPrefix(n.key, c.base))
		case noteShow:
			if words := redisWords(n.why); s.troubles.news(words) {
				s.log.Error("Redis did not take what is only for show: pages, counts and the stream of requests lack something",
					zap.String("reason", words))
			}
		case noteState:
			if r, err := restoreCall(c.base, n); err != nil {
				bad = append(bad, unreadable{key: n.key, field: n.field, value: n.value, why: err.Error()})
			} else {
				restored = append(restored, r)
			}
		case noteEvent:
			s.checkEvent(ctx, c.base, n)
		}
	}
	if len(restored) > 0 {
		s.runAll(ctx, restored...) // what fails is noted again
	}
	s.setAside(ctx, c.base, bad...)
	if lost {
		s.auditAll(ctx, c.base)
	}
}

// isSchedule reports whether a key, without its base, has places of webhooks.
func isSchedule(name string) bool { return name == "due" || name == "due:slow" || name == "paused" }

// readable gives the ids in a key or a field as text: those of an event, with its tenant or
// alone, of a request, or of an event and a webhook.
func readable(s string) string {
	head, raw := "", s
	if at := len(s) - 16; at > 1 && s[at-1] == ':' && utf8.ValidString(s[:at]) {
		head, raw = s[:at], s[at:]
	}
	switch {
	case len(raw) == 16 && !isPlain(raw):
		return head + uuid.UUID([]byte(raw)).String()
	case len(raw) == 32 && !isPlain(raw):
		return uuid.UUID([]byte(raw[:16])).String() + " " + uuid.UUID([]byte(raw[16:])).String()
	}
	return s
}

// isPlain reports whether a text is printable ASCII.
func isPlain(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}
