package embedded

import (
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// TestEraseWiped erases an event, and looks into the two files for its data, in clear or encrypted:
// they are gone once the files were overwritten, also if the store was closed before that, or the
// process killed while it did it.
func TestEraseWiped(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]Option{
		"no key":             nil,
		"secrets encrypted":  {WithKeyring(storetest.Keyring(t, false, 1))},
		"payloads encrypted": {WithKeyring(storetest.Keyring(t, true, 1))},
	} {
		for _, ends := range []string{"goes on", "closed", "killed", "killed while it overwrites"} {
			t.Run(name+"/"+ends, func(t *testing.T) {
				t.Parallel()
				folder := t.TempDir()
				s := New(folder, options...)
				if err := s.Open(t.Context()); err != nil {
					t.Fatal(err)
				}
				w := newHook(t, s)
				id := hushed(t, s, w, 3)
				stored := storedPayload(t, s, w.Tenant, id)
				sweepAll(t, s)
				checkpoint(t, s)
				if err := s.EraseEvent(t.Context(), w.Tenant, id); err != nil {
					t.Fatal(err)
				}
				if found(t, folder, stored) == 0 {
					t.Error("the data are gone too early for this test")
				}
				folder, s = ended(t, s, folder, ends, options)
				wipeNow(t, s)
				if n := found(t, folder, stored) + found(t, folder, hushSecret); n != 0 {
					t.Errorf("the data are there %d times", n)
				}
				if e, _, err := s.Event(t.Context(), w.Tenant, id); err != nil || !e.Erased {
					t.Errorf("the event is %+v, %v", e, err)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				wantWhole(t, folder)
			})
		}
	}
}

// storedPayload is what the file has of an event's payload: the end of its record.
func storedPayload(t *testing.T, s *Store, tenant string, id uuid.UUID) (stored string) {
	t.Helper()
	if err := s.read(func(v *view) error {
		number, _, err := s.storedEvent(v, tenant, id)
		if err != nil {
			return err
		}
		value := slices.Clone(v.bucket(eventsBucket).get(number8(number)))
		stored = string(value[len(value)-len(hushSecret)+1:])
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return stored
}

// ended ends the process in some way, and opens the store again.
func ended(t *testing.T, s *Store, folder, ends string, options []Option) (string, *Store) {
	t.Helper()
	if ends == "goes on" {
		return folder, s
	}
	crashed := t.TempDir()
	if ends == "killed while it overwrites" {
		if err := s.beginWipe(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.write(reading, func(*txn) error { return copyFiles(folder, crashed) }); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if ends != "closed" {
		folder = crashed
	}
	again := New(folder, options...)
	if err := again.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	return folder, again
}
