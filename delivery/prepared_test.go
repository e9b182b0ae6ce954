package delivery

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// What a change of the webhook changes goes with the next request.
func TestPreparedFollowsWebhook(t *testing.T) {
	t.Parallel()
	var c preparedWebhooks
	settings := DefaultSettings()
	ev := &Event{ID: uuid.New(), Payload: []byte(`{}`)}
	versions := []Webhook{
		{URL: "https://a.example", Secret: "first"},
		{URL: "https://a.example", Secret: "second"},
		{URL: "https://b.example", Secret: "second"},
		{URL: "https://b.example"},
		{URL: "https://a.example", Secret: "first"},
	}
	for _, w := range versions {
		for range 2 {
			p := c.get(&settings, &w, time.Now())
			m := p.message(&settings, ev, time.Now())
			signed := len(m.Values) == 1 && m.Values[0] == Signature(w.Secret, ev.Payload)
			if m.URL != w.URL || signed != (w.Secret != "") || (p.headers.SignatureHeader != "") != signed {
				t.Errorf("%+v: got %+v of %+v", w, m, p)
			}
			if c.get(&settings, &w, time.Now()) != p {
				t.Errorf("%+v was prepared twice", w)
			}
		}
	}
}

// notSent are the members of a webhook that make no difference to its requests. What is not
// among them must, so that no member that is added can be forgotten.
var notSent = []string{
	"Tenant", "Description", "Enabled", "EventTypes", "CreatedAt", "UpdatedAt", "DisabledAt",
	"Metadata", "Retry", "Concurrency", "RateLimit", "Filter", "Transform", "OrderBy", "DisabledReason", "SecretChangedAt", "Declared",
}

func TestPreparedFollowsEachMember(t *testing.T) {
	t.Parallel()
	settings := DefaultSettings()
	for i := range reflect.TypeFor[Webhook]().NumField() {
		var c preparedWebhooks
		w := Webhook{URL: "https://a.example"}
		changed := w
		name := reflect.TypeFor[Webhook]().Field(i).Name
		if name == "ID" {
			continue // by which webhooks are remembered
		}
		setAny(t, reflect.ValueOf(&changed).Elem().Field(i))
		before := c.get(&settings, &w, time.Now())
		if again := c.get(&settings, &changed, time.Now()) != before; again == slices.Contains(notSent, name) {
			t.Errorf("after a change of %s requests were prepared anew: %t", name, again)
		}
		if after := c.get(&settings, &changed, time.Now()); c.get(&settings, &changed, time.Now()) != after {
			t.Errorf("requests were prepared twice with %s", name)
		}
	}
}

// setAny gives a variable some value that is not its zero value.
func setAny(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString("https://b.example")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(time.Second))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		setAny(t, v.Elem())
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(1, 0)))
			return
		}
		setAny(t, v.Field(0))
	case reflect.Array:
		v.Index(0).SetUint(1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("X-Any").Convert(v.Type().Key()), reflect.Zero(v.Type().Elem()))
	default:
		t.Fatalf("what is %v?", v.Type())
	}
}

func TestPreparedIsBounded(t *testing.T) {
	t.Parallel()
	settings := DefaultSettings()
	long := map[string]string{"X-Long": strings.Repeat("x", 4000)}
	for most, headers := range map[int]map[string]string{maxPrepared: nil, maxPrepared / 8: long} {
		var c preparedWebhooks
		ids := make([]uuid.UUID, most+1)
		for i := range ids {
			ids[i] = uuid.New()
			for range 1 + i%2 { // again, with another URL
				c.get(&settings, &Webhook{ID: ids[i], URL: "https://a.example" + strings.Repeat("/", i%2), Headers: headers}, time.Now())
				c.get(&settings, &Webhook{ID: ids[i], URL: "https://b.example", Headers: headers}, time.Now())
			}
		}
		weight := 0
		for _, p := range c.byID {
			weight += p.weight()
		}
		if n := len(c.byID); n == 0 || n > most || weight != c.weight {
			t.Errorf("%d webhooks are remembered, with a weight of %d, and it counts %d", n, weight, c.weight)
		}
	}
}

// BenchmarkMessage makes what is sent of an event, but not the request itself.
func BenchmarkMessage(b *testing.B) {
	for name, standard := range map[string]bool{"plain": false, "standard": true, "headers": false} {
		b.Run(name, func(b *testing.B) {
			var c preparedWebhooks
			settings := DefaultSettings()
			settings.StandardWebhooks = standard
			w := &Webhook{ID: uuid.New(), URL: "https://hooks.example/hooks", Secret: "a secret of the usual length, say"}
			if name == "headers" {
				w.Headers = map[string]string{"X-One": "one", "X-Two": "two", "X-Three": "three"}
			}
			ev := &Event{ID: uuid.New(), Payload: bytes.Repeat([]byte("x"), 500)}
			at := time.Unix(1_773_426_600, 0)
			b.ReportAllocs()
			for b.Loop() {
				c.get(&settings, w, at).message(&settings, ev, at)
			}
		})
	}
}
