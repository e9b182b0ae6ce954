package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/encryption"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// storedSecret reads the record of a webhook.
func storedSecret(t *testing.T, s *Store, w *delivery.Webhook) string {
	t.Helper()
	p, err := s.at(w.Tenant)
	if err != nil {
		t.Fatal(err)
	}
	return s.client().HGet(t.Context(), webhooksKey(p.base, w.Tenant), w.ID.String()).Val()
}

func wantSecret(t *testing.T, s *Store, w *delivery.Webhook, version int64) {
	t.Helper()
	got, v, err := s.Webhook(t.Context(), w.Ref())
	if err != nil || got.Secret != w.Secret || v != version {
		t.Errorf("%+v of version %d, %v; want the secret %q of version %d", got, v, err, w.Secret, version)
	}
}

// TestEncrypted runs the suite with encrypted payloads.
func TestEncrypted(t *testing.T) {
	t.Parallel()
	storetest.RunVariant(t, 4, func(t *testing.T) delivery.Store {
		o := options()
		o.Keyring = storetest.Keyring(t, true, 1)
		return open(t, o)
	})
}

// TestEncryptStored has secrets in clear encrypted with one key after the other, by two
// processes at the same time.
func TestEncryptStored(t *testing.T) {
	t.Parallel()
	o := options()
	o.Partitions = 3
	plain := open(t, o)
	var webhooks []*delivery.Webhook
	for i := range 20 {
		webhooks = append(webhooks, addWebhook(t, plain, fmt.Sprint("acme", i)))
	}
	versions := make([]int64, len(webhooks))
	for i, w := range webhooks {
		versions[i] = version(plain, w.Tenant)
		if stored := storedSecret(t, plain, w); !strings.Contains(stored, w.Secret) {
			t.Fatalf("without a key, the record is %q", stored)
		}
	}
	for _, keys := range []*encryption.Keyring{storetest.Keyring(t, false, 1), storetest.Keyring(t, false, 2, 1), storetest.Keyring(t, false, 2)} {
		o.Keyring = keys
		s, other := open(t, o), open(t, o)
		done := make(chan error)
		go func() {
			more, err := true, error(nil)
			for more && err == nil {
				more, err = other.Sweep(context.Background(), testRetention)
			}
			done <- err
		}()
		sweepAll(t, s)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		first := keys.First()
		if e := s.Encryption(); e.KeyID != first.String() || !e.Done || e.Checked != int64(len(webhooks)) || e.Err != nil {
			t.Errorf("%+v", e)
		}
		for i, w := range webhooks {
			if stored := storedSecret(t, s, w); strings.Contains(stored, w.Secret) || !strings.Contains(stored, string(first[:])) {
				t.Errorf("the record is %q", stored)
			}
			wantSecret(t, s, w, versions[i])
		}
	}
}

// TestChangedMeanwhile changes a webhook between the read and the write of encryptAgain, which
// leaves the change.
func TestChangedMeanwhile(t *testing.T) {
	t.Parallel()
	s := open(t, options())
	w := addWebhook(t, s, testTenant)
	read := storedSecret(t, s, w)
	w.Secret = "changed"
	if err := s.UpdateWebhook(t.Context(), w, version(s, testTenant)); err != nil {
		t.Fatal(err)
	}
	args := s.encryptedArgs(storetest.Keyring(t, false, 1), []storedWebhook{{w.Tenant, w.ID.String(), read}})
	reply, err := s.run(t.Context(), encryptAgainScript, s.keys.base(0), args...)
	if err != nil || len(reply) != 2 || reply[1] != int64(0) {
		t.Errorf("%v, %v", reply, err)
	}
	wantSecret(t, s, w, version(s, testTenant))
}

// TestMissingKey uses a store without the key of a secret: it does not open, and one that is
// open already sends nothing and sets nothing aside. With the key, all goes on.
func TestMissingKey(t *testing.T) {
	t.Parallel()
	without := options()
	with := without
	with.Keyring = storetest.Keyring(t, false, 1)
	early := open(t, without) // when there was no key
	s := open(t, with)
	sweepAll(t, s)
	w := addWebhook(t, s, testTenant)
	mustAccept(t, s, newCall(s, w, 3, 10, false))

	const says = "a webhook's secret is encrypted with a key that is not configured: key id b0e9c4ec0185fd08"
	want := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, delivery.ErrUnavailable) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, keys := range []*encryption.Keyring{nil, storetest.Keyring(t, false, 2)} {
		without.Keyring = keys
		other := New(without)
		want("open", other.Open(t.Context()))
		if err := other.Close(); err != nil {
			t.Error(err)
		}
		early.Use(without)
		_, _, err := storetest.Webhooks(t.Context(), early, testTenant)
		want("webhooks", err)
		want("health", early.Encryption().Err)
		for _, err := range early.Export(t.Context()) {
			want("export", err)
		}
		claimed, err := early.Claim(t.Context(), 0, delivery.Room{Fast: 10, PerWebhook: 10, Lease: time.Millisecond})
		if len(claimed.Jobs) > 0 || err != nil || claimed.Next < time.Second {
			t.Errorf("claimed %+v, %v", claimed, err)
		}
		if keys != nil { // a pass finds it, too
			early.Use(with)
			early.Use(without)
			sweepAll(t, early)
			want("pass", early.Encryption().Err)
			if early.Encryption().Done {
				t.Error("the pass says that all is encrypted with the first key")
			}
		}
	}
	early.Use(with)
	if err := early.Encryption().Err; err != nil {
		t.Errorf("with the key: %v", err)
	}
	eventually(t, "the leases to end", func() error { return countJobs(claim(t, early), 3) })
	wantSecret(t, early, w, version(s, testTenant))
	if n := early.SetAside() + s.SetAside(); n != 0 {
		t.Errorf("%d records were set aside", n)
	}
}

// TestMissingPayloadKey reads payloads without their key.
func TestMissingPayloadKey(t *testing.T) {
	t.Parallel()
	o := options()
	s := open(t, o)
	storetest.RunMissingKey(t, s, func(keys *encryption.Keyring) {
		o.Keyring = keys
		s.Use(o)
	})
}

// TestMovedSecret puts the record of one webhook in the place of another's.
func TestMovedSecret(t *testing.T) {
	t.Parallel()
	o := options()
	o.Keyring = storetest.Keyring(t, false, 1)
	s := open(t, o)
	w, other := addWebhook(t, s, testTenant), addWebhook(t, s, testTenant)
	key := webhooksKey(s.keys.base(0), testTenant)
	if err := s.client().HSet(t.Context(), key, other.ID.String(), storedSecret(t, s, w)).Err(); err != nil {
		t.Fatal(err)
	}
	all, _, err := storetest.Webhooks(t.Context(), s, testTenant)
	if err != nil || len(all) != 1 || all[0].ID != w.ID || s.SetAside() != 1 {
		t.Errorf("%v, %v; %d were set aside", all, err, s.SetAside())
	}
}

// TestEncryptedSchema has earlier versions refuse the data once there is a key.
func TestEncryptedSchema(t *testing.T) {
	t.Parallel()
	o := options()
	s := open(t, o)
	sweepAll(t, s)
	schema := func() string { return s.client().HGet(t.Context(), s.keys.meta(), schemaField).Val() }
	if got := schema(); got != strconv.Itoa(schemaVersion) {
		t.Errorf("without a key, the schema is %s", got)
	}
	o.Keyring = storetest.Keyring(t, false, 1)
	sweepAll(t, open(t, o))
	if got := schema(); got != encryptedSchema {
		t.Errorf("with a key, the schema is %s", got)
	}
	o.Keyring = nil
	sweepAll(t, open(t, o)) // there is no secret
	if got := schema(); got != encryptedSchema {
		t.Errorf("without a key again, the schema is %s", got)
	}
}

// TestEncryptedSchemaLost loses what the first Open recorded: what is recorded anew says that secrets
// are encrypted, so that a process without the key does not open the store.
func TestEncryptedSchemaLost(t *testing.T) {
	t.Parallel()
	o := options()
	o.Keyring = storetest.Keyring(t, false, 1)
	s := open(t, o)
	sweepAll(t, s)
	addWebhook(t, s, testTenant)
	for _, schema := range []string{"", "2"} { // of an earlier version, which opened it meanwhile
		if err := s.client().Del(t.Context(), s.keys.meta()).Err(); err != nil {
			t.Fatal(err)
		}
		if schema != "" {
			s.client().HSet(t.Context(), s.keys.meta(), partitionsField, 1, schemaField, schema)
		}
		sweepAll(t, s)
		if got := s.client().HGet(t.Context(), s.keys.meta(), schemaField).Val(); got != encryptedSchema {
			t.Errorf("the schema is %s", got)
		}
		without := o
		without.Keyring = nil
		other := New(without)
		if err := other.Open(t.Context()); !encryption.IsMissingKey(err) {
			t.Errorf("without the key, it opens: %v", err)
		}
		if err := other.Close(); err != nil {
			t.Error(err)
		}
	}
}
