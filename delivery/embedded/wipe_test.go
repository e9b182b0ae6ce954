package embedded

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// found counts a text in the two files of a store.
func found(t *testing.T, folder, text string) (n int) {
	t.Helper()
	for _, name := range []string{fileName, journalName} {
		content, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		n += bytes.Count(content, []byte(text))
	}
	return n
}

// wipeNow sweeps as if the last time was long ago.
func wipeNow(t *testing.T, s *Store) {
	t.Helper()
	s.wipe.ended = time.Time{}
	sweepAll(t, s)
}

// wantWhole checks all of the files of a store that is closed.
func wantWhole(t *testing.T, folder string) {
	t.Helper()
	report, err := Check(t.Context(), folder)
	if err != nil || len(report.Damages) > 0 {
		t.Errorf("%+v, %v", report, err)
	}
}

// TestWipe replaces secrets, deletes webhooks, and encrypts: what there was before is gone from
// both files.
func TestWipe(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := New(folder)
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	var webhooks []*delivery.Webhook
	for i := range 200 { // several pages
		webhooks = append(webhooks, addSecret(t, s, fmt.Sprintf("hush-first-%d-%s", i, strings.Repeat("x", 100))))
		if i%50 == 0 { // commits leave copies
			sweepAll(t, s)
		}
	}
	wipeNow(t, s)
	if n := found(t, folder, "hush-first"); n < len(webhooks) {
		t.Errorf("there are %d secrets of %d", n, len(webhooks))
	}
	for i, w := range webhooks {
		if i%2 == 0 {
			if err := s.DeleteWebhook(t.Context(), w.Ref()); err != nil {
				t.Fatal(err)
			}
			continue
		}
		w.Secret = "hush-second"
		if err := s.UpdateWebhook(t.Context(), w, s.state.version(w.Tenant)); err != nil {
			t.Fatal(err)
		}
	}
	wipeNow(t, s)
	if n := found(t, folder, "hush-first"); n != 0 {
		t.Errorf("there are %d secrets that were replaced or deleted", n)
	}
	s.UseKeyring(storetest.Keyring(t, false, 1))
	wipeNow(t, s)
	if n := found(t, folder, "hush"); n != 0 {
		t.Errorf("there are %d secrets in clear", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wantWhole(t, folder)
	s = opened(t, New(folder, WithKeyring(storetest.Keyring(t, false, 1))))
	if all, _, err := storetest.Webhooks(t.Context(), s, "acme"); err != nil || len(all) != 100 || all[0].Secret != "hush-second" {
		t.Errorf("%d webhooks, %v", len(all), err)
	}
}

// TestWipeLater deletes a webhook and ends the process: the next one overwrites it. When nothing
// is deleted, nothing is overwritten.
func TestWipeLater(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := New(folder)
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := addSecret(t, s, hushSecret)
	wipeNow(t, s)
	again := func() {
		t.Helper()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = New(folder)
		if err := s.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	again()
	sweepAll(t, s)
	if !s.wipe.ended.IsZero() {
		t.Error("the files were overwritten for nothing")
	}
	if err := s.DeleteWebhook(t.Context(), w.Ref()); err != nil {
		t.Fatal(err)
	}
	again()
	if found(t, folder, hushSecret) == 0 {
		t.Error("the secret is gone too early for this test")
	}
	sweepAll(t, s)
	if n := found(t, folder, hushSecret); n != 0 {
		t.Errorf("the secret is there %d times", n)
	}
	again()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestWipeBesideWork overwrites again and again while others read and write. The files that a
// crash would leave are whole at any time.
func TestWipeBesideWork(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := New(folder)
	s.journalSize = 64 << 10
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := addSecret(t, s, hushSecret)
	stop := workOn(t, s)
	for i := range 10 {
		other := addSecret(t, s, fmt.Sprint("hush-", i))
		if err := s.DeleteWebhook(t.Context(), other.Ref()); err != nil {
			t.Error(err)
		}
		wipeNow(t, s)
		crashed := t.TempDir()
		if err := s.write(reading, func(*txn) error { return copyFiles(folder, crashed) }); err != nil {
			t.Error(err)
		}
		wantWhole(t, crashed)
	}
	stop()
	wantSecret(t, s, w, s.state.version(w.Tenant))
	if n := s.SetAside(); n != 0 {
		t.Errorf("%d records were set aside", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wantWhole(t, folder)
}

// workOn has workers write to a store, and read all of it, until stop is called.
func workOn(t *testing.T, s *Store) (stop func()) {
	var workers sync.WaitGroup
	done := make(chan struct{})
	emit := func() error {
		return s.Accept(t.Context(), delivery.AcceptBatch{Retention: time.Hour, Calls: []delivery.AcceptCall{{
			Tenant: "other", Nonce: uuid.New(),
			Events: []delivery.AcceptEvent{{
				ID: delivery.NewID(s.Now()), New: true, Type: "a", OccurredAt: s.Now(),
				Payload: bytes.Repeat([]byte("p"), rand.IntN(20_000)),
			}},
		}}})[0].Err
	}
	export := func() error {
		for _, err := range s.Export(t.Context()) {
			if err != nil {
				return err
			}
		}
		return nil
	}
	for _, do := range []func() error{emit, export, export} {
		workers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := do(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	return func() {
		close(done)
		workers.Wait()
	}
}

// copyFiles copies the two files, of which nobody may write any meanwhile.
func copyFiles(from, to string) error {
	for _, name := range []string{fileName, journalName} {
		content, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// TestFreePages reads lists of free pages from any place on.
func TestFreePages(t *testing.T) {
	t.Parallel()
	if got := fmt.Sprint(common([]uint64{1, 3, 5, 7}, []uint64{3, 4, 7, 9}, 7)); got != "[3]" {
		t.Errorf("common are %s", got)
	}
	file := filepath.Join(t.TempDir(), "file")
	var content []byte
	for n := range uint64(10) {
		content = append(content, number8(0)...)
		content[len(content)-8] = byte(10 + 2*n) // little-endian
	}
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	list := freeList{&image{file: f}, 0, 10}
	for _, c := range []struct {
		from uint64
		most int
		want string
	}{
		{0, 2, "[10 12] 13"}, {13, 3, "[14 16 18] 19"}, {26, 2, "[26 28] 18446744073709551615"}, {29, 2, "[] 18446744073709551615"},
	} {
		pages, end, err := list.pages(c.from, c.most)
		if got := fmt.Sprint(pages, end); err != nil || got != c.want {
			t.Errorf("from %d: %s, %v", c.from, got, err)
		}
	}
}
