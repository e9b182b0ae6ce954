package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	bolt "go.etcd.io/bbolt"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/encryption"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// hushSecret appears nowhere else.
const hushSecret = "hush-secret-of-a-webhook"

// addSecret adds a webhook with a secret.
func addSecret(t testing.TB, s *Store, secret string) *delivery.Webhook {
	t.Helper()
	now := s.Now().Truncate(time.Millisecond).UTC()
	w := &delivery.Webhook{
		Tenant: "acme", ID: delivery.NewID(now), URL: "https://example.com/", Secret: secret,
		Enabled: true, EventTypes: []string{delivery.AllEventTypes}, CreatedAt: now, UpdatedAt: now,
	}
	if err := s.CreateWebhook(t.Context(), w, delivery.MaxWebhooks); err != nil {
		t.Fatal(err)
	}
	return w
}

// sweepAll sweeps until there is nothing left to do.
func sweepAll(t testing.TB, s *Store) {
	t.Helper()
	for more := true; more; {
		var err error
		if more, err = s.Sweep(t.Context(), time.Hour); err != nil {
			t.Fatal(err)
		}
	}
}

// storedRecord reads the record of the only webhook.
func storedRecord(t *testing.T, s *Store) (record []byte) {
	t.Helper()
	if err := s.read(func(v *view) error {
		_, value := v.bucket(webhooksBucket).cursor().First()
		record = bytes.Clone(value)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return record
}

// wantSecret checks the secret of a webhook and the version of its tenant's set.
func wantSecret(t *testing.T, s *Store, w *delivery.Webhook, version int64) {
	t.Helper()
	got, v, err := s.Webhook(t.Context(), w.Ref())
	if err != nil || got.Secret != w.Secret || v != version {
		t.Fatalf("%+v of version %d, %v; want the secret %q of version %d", got, v, err, w.Secret, version)
	}
}

// TestEncrypted runs the suite with encrypted payloads.
func TestEncrypted(t *testing.T) {
	t.Parallel()
	storetest.RunVariant(t, 4, func(t *testing.T) delivery.Store {
		return opened(t, New(t.TempDir(), WithKeyring(storetest.Keyring(t, true, 1))))
	})
}

// TestEncryptStored opens a store, which has a secret in clear, with a key, and then with other
// ones: Sweep encrypts the secret with the first of them.
func TestEncryptStored(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := New(folder)
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := addSecret(t, s, hushSecret)
	if record := storedRecord(t, s); !bytes.Contains(record, []byte(hushSecret)) {
		t.Fatalf("without a key, the record is %q", record)
	}
	for _, keys := range []*encryption.Keyring{storetest.Keyring(t, false, 1), storetest.Keyring(t, false, 2, 1), storetest.Keyring(t, false, 2)} {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = New(folder, WithKeyring(keys))
		if err := s.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		sweepAll(t, s)
		if e := s.Encryption(); e.KeyID != keys.First().String() || !e.Done || e.Checked != 1 || e.Err != nil {
			t.Errorf("%+v", e)
		}
		record, first := storedRecord(t, s), keys.First()
		if bytes.Contains(record, []byte(hushSecret)) || !bytes.Contains(record, first[:]) {
			t.Errorf("the record is %q", record)
		}
		wantSecret(t, s, w, 1)
	}
	s.UseKeyring(nil)
	sweepAll(t, s)
	if err := s.Encryption().Err; !encryption.IsMissingKey(err) {
		t.Errorf("without keys, health is %v", err)
	}
	// In a store that is open, all secrets are known, so that no key is missing.
	s.UseKeyring(storetest.Keyring(t, false, 3))
	if e := s.Encryption(); e.Done || e.Err != nil {
		t.Error("with another key, it says that all is encrypted")
	}
	sweepAll(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = opened(t, New(folder, WithKeyring(storetest.Keyring(t, false, 3))))
	wantSecret(t, s, w, 1)
	w.Secret = "hush-changed"
	if err := s.UpdateWebhook(t.Context(), w, 1); err != nil {
		t.Fatal(err)
	}
	wantSecret(t, s, w, 2)
	if record := storedRecord(t, s); bytes.Contains(record, []byte("hush")) {
		t.Errorf("the record is %q", record)
	}
}

// TestMissingKey opens a store without the key of a secret: that is an error which says so, and
// changes nothing.
func TestMissingKey(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := New(folder, WithKeyring(storetest.Keyring(t, false, 1)))
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := addSecret(t, s, hushSecret)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, keys := range []*encryption.Keyring{nil, storetest.Keyring(t, false, 2)} {
		other := New(folder, WithKeyring(keys))
		err := other.Open(t.Context())
		if !errors.Is(err, delivery.ErrUnavailable) || !strings.Contains(err.Error(), "a webhook's secret is encrypted with a key that is not configured: key id "+storetest.Keyring(t, false, 1).First().String()) {
			t.Errorf("the error is %v", err)
		}
		if n := other.SetAside(); n != 0 {
			t.Errorf("%d records were set aside", n)
		}
	}
	if report, err := Check(t.Context(), folder); err != nil || len(report.Damages) > 0 {
		t.Errorf("checked without a key: %+v, %v", report, err)
	}
	salvaged := filepath.Join(t.TempDir(), "salvaged")
	if report, err := Salvage(t.Context(), folder, salvaged); err != nil || len(report.Damages) > 0 {
		t.Errorf("salvaged without a key: %+v, %v", report, err)
	}
	for _, folder := range []string{folder, salvaged} {
		wantSecret(t, opened(t, New(folder, WithKeyring(storetest.Keyring(t, false, 2, 1)))), w, 1)
	}
}

// TestMissingPayloadKey reads payloads without their key.
func TestMissingPayloadKey(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	storetest.RunMissingKey(t, s, s.UseKeyring)
}

// TestMovedSecret puts the encrypted secret of one webhook into the record of another one, which
// cannot be read then.
func TestMovedSecret(t *testing.T) {
	t.Parallel()
	keys := storetest.Keyring(t, false, 1)
	s := open(t, t.TempDir())
	s.UseKeyring(keys)
	w := addSecret(t, s, hushSecret)
	record := storedRecord(t, s)
	record[4+15] ^= 1 // the id
	if _, _, err := decodeWebhook(record, keys); !errors.Is(err, encryption.ErrChanged) {
		t.Errorf("the error is %v", err)
	}
	record[4+15] ^= 1
	if _, again, err := decodeWebhook(record, keys); err != nil || again.Secret != w.Secret {
		t.Errorf("unmoved: %+v, %v", again, err)
	}
}

// layoutOf reads the layout of a store that is closed.
func layoutOf(t *testing.T, folder string) (layout uint32) {
	t.Helper()
	db, err := bolt.Open(filepath.Join(folder, fileName), 0o600, &bolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.View(func(tx *bolt.Tx) error {
		layout = binary.BigEndian.Uint32(tx.Bucket(metaBucket).Get(schemaKey))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return layout
}

// TestEncryptedLayout has earlier versions refuse a file in which secrets are encrypted, and what
// is salvaged of it.
func TestEncryptedLayout(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		keys *encryption.Keyring
		want uint32
	}{{nil, schemaVersion}, {storetest.Keyring(t, false, 1), encryptedVersion}} {
		folder := t.TempDir()
		s := New(folder, WithKeyring(c.keys))
		if err := s.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		sweepAll(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		salvaged := filepath.Join(t.TempDir(), "salvaged")
		if _, err := Salvage(t.Context(), folder, salvaged); err != nil {
			t.Fatal(err)
		}
		for _, folder := range []string{folder, salvaged} {
			if got := layoutOf(t, folder); got != c.want {
				t.Errorf("the layout of %s is %d, want %d", folder, got, c.want)
			}
		}
	}
}

// TestEncryptedAtOnce has earlier versions refuse a file from its first encrypted secret on, before
// Sweep has looked at any.
func TestEncryptedAtOnce(t *testing.T) {
	t.Parallel()
	w := addSecret(t, open(t, t.TempDir()), hushSecret)
	for name, write := range map[string]func(s *Store) error{
		"create": func(s *Store) error { return s.CreateWebhook(t.Context(), w, delivery.MaxWebhooks) },
		"import": func(s *Store) error {
			_, err := s.Import(t.Context(), &delivery.Batch{Webhooks: []delivery.StoredWebhook{{Webhook: *w}}})
			return err
		},
		"update": func(s *Store) error {
			s.UseKeyring(nil)
			w := addSecret(t, s, hushSecret)
			s.UseKeyring(storetest.Keyring(t, false, 1))
			return s.UpdateWebhook(t.Context(), w, 1)
		},
	} {
		folder := t.TempDir()
		s := New(folder, WithKeyring(storetest.Keyring(t, false, 1)))
		if err := s.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(write(s), s.Close()); err != nil {
			t.Fatal(err)
		}
		if got := layoutOf(t, folder); got != encryptedVersion {
			t.Errorf("%s: the layout is %d", name, got)
		}
	}
}

// TestEncryptedJournal looks for a secret in both files after a crash.
func TestEncryptedJournal(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := opened(t, New(folder, WithKeyring(storetest.Keyring(t, false, 1))))
	w := addSecret(t, s, hushSecret)
	crashed := t.TempDir()
	for _, name := range []string{fileName, journalName} {
		content, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(content, []byte(hushSecret)) {
			t.Errorf("%s has the secret", name)
		}
		if err := os.WriteFile(filepath.Join(crashed, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	wantSecret(t, opened(t, New(crashed, WithKeyring(storetest.Keyring(t, false, 1)))), w, 1)
}

// TestEncryptedExport accepts the first event of a tenant while all is exported: its payload is
// read as that tenant's.
func TestEncryptedExport(t *testing.T) {
	t.Parallel()
	s := opened(t, New(t.TempDir(), WithKeyring(storetest.Keyring(t, true, 1))))
	addSecret(t, s, hushSecret)
	id := delivery.NewID(s.Now())
	call := delivery.AcceptCall{Tenant: "new", Nonce: uuid.New(), Events: []delivery.AcceptEvent{
		{ID: id, New: true, Type: "a", OccurredAt: s.Now(), Payload: []byte("{}")},
	}}
	exported := false
	for b, err := range s.Export(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if len(b.Webhooks) > 0 {
			if err := s.Accept(t.Context(), delivery.AcceptBatch{Retention: time.Hour, Calls: []delivery.AcceptCall{call}})[0].Err; err != nil {
				t.Fatal(err)
			}
		}
		exported = exported || len(b.Events) == 1 && b.Events[0].Tenant == "new"
	}
	if _, _, err := s.Event(t.Context(), "new", id); err != nil || !exported || s.SetAside() > 0 {
		t.Errorf("%v; exported: %t; %d records were set aside", err, exported, s.SetAside())
	}
}
