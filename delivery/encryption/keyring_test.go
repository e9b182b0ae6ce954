package encryption

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// newKeyring makes a keyring of keys that consist of one byte each.
func newKeyring(t testing.TB, payloads bool, keys ...byte) *Keyring {
	t.Helper()
	all := make([][]byte, len(keys))
	for i, b := range keys {
		all[i] = bytes.Repeat([]byte{b}, KeySize)
	}
	r, err := New(all, payloads)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var place = Place{Secret, "acme", uuid.UUID{15: 1}}

// TestEncrypt decrypts what was encrypted, by the keyring of then and by later ones.
func TestEncrypt(t *testing.T) {
	t.Parallel()
	old := newKeyring(t, false, 1)
	for _, plain := range []string{"", "hush", strings.Repeat("hush", 1000)} {
		encrypted := old.Encrypt([]byte("before"), place, []byte(plain))
		value, ok := bytes.CutPrefix(encrypted, []byte("before"))
		if !ok || len(value) != len(plain)+Overhead || bytes.Contains(value, []byte("hush")) {
			t.Fatalf("%q is encrypted as %q", plain, encrypted)
		}
		if id, ok := EncryptedBy(value); !ok || id != old.First() {
			t.Errorf("encrypted with %v, %t", id, ok)
		}
		for _, r := range []*Keyring{old, newKeyring(t, true, 2, 1)} {
			for _, decrypt := range []func(Place, []byte) ([]byte, error){r.Decrypt, r.DecryptOnce, r.DecryptOnce} {
				if got, err := decrypt(place, value); err != nil || string(got) != plain {
					t.Errorf("decrypted as %q, %v", got, err)
				}
			}
		}
		if again := old.Encrypt(nil, place, []byte(plain)); bytes.Equal(again, value) {
			t.Error("encrypted twice, it is the same")
		}
	}
}

// TestFormat decrypts a value as an earlier version encrypted it: stores are full of them.
func TestFormat(t *testing.T) {
	t.Parallel()
	const stored = "/wGw6cTsAYX9CJ3cHH8CYup7FSEzPiK2yzuT7F0sQHDcLv1MSLRIHPam540UPeDlCsHvNmsr"
	value, err := base64.StdEncoding.DecodeString(stored)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := newKeyring(t, false, 1).Decrypt(place, value); err != nil || string(got) != "hush" {
		t.Errorf("decrypted as %q, %v", got, err)
	}
}

// TestElsewhere decrypts encrypted values where they do not belong, and changed ones.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	r := newKeyring(t, true, 1)
	value := r.Encrypt(nil, place, []byte("hush"))
	if _, err := r.DecryptOnce(place, value); err != nil {
		t.Fatal(err)
	}
	for name, at := range map[string]Place{
		"kind":   {Event, place.Tenant, place.ID},
		"tenant": {place.Kind, "acme2", place.ID},
		"id":     {place.Kind, place.Tenant, uuid.UUID{15: 2}},
	} {
		for _, decrypt := range []func(Place, []byte) ([]byte, error){r.Decrypt, r.DecryptOnce} {
			if got, err := decrypt(at, value); !errors.Is(err, ErrChanged) {
				t.Errorf("another %s: %q, %v", name, got, err)
			}
		}
	}
	for i := range value {
		changed := bytes.Clone(value)
		changed[i] ^= 1
		if got, err := r.Decrypt(place, changed); err == nil && !bytes.Equal(got, changed) {
			t.Errorf("decrypted with another byte %d as %q", i, got)
		}
	}
}

// TestMissingKey decrypts values without their key.
func TestMissingKey(t *testing.T) {
	t.Parallel()
	value := newKeyring(t, false, 1).Encrypt(nil, place, []byte("hush"))
	for _, r := range []*Keyring{nil, newKeyring(t, false, 2)} {
		for _, decrypt := range []func(Place, []byte) ([]byte, error){r.Decrypt, r.DecryptOnce} {
			_, err := decrypt(place, value)
			if !IsMissingKey(err) || !strings.Contains(err.Error(), "a webhook's secret is encrypted with a key that is not configured: key id b0e9c4ec0185fd08") {
				t.Errorf("the error is %v", err)
			}
		}
	}
}

// TestPlain reads what was stored without a key.
func TestPlain(t *testing.T) {
	t.Parallel()
	for _, r := range []*Keyring{nil, newKeyring(t, true, 1)} {
		for _, plain := range []string{"", "hush", `{"event_type":"` + strings.Repeat("x", 100) + `"}`, "\xff\x01" + strings.Repeat("\x00", Overhead-3)} {
			if got, err := r.DecryptOnce(place, []byte(plain)); err != nil || string(got) != plain {
				t.Errorf("%q is read as %q, %v", plain, got, err)
			}
		}
	}
	var none *Keyring
	if none.EncryptsPayloads() || !none.Equal(nil) || none.Equal(newKeyring(t, false, 1)) {
		t.Error("no keyring encrypts")
	}
}

// TestKeys reads keys as people write them.
func TestKeys(t *testing.T) {
	t.Parallel()
	key := bytes.Repeat([]byte{0xFB, 0xFF}, KeySize/2)
	for _, text := range []string{
		hex.EncodeToString(key), strings.ToUpper(hex.EncodeToString(key)),
		base64.StdEncoding.EncodeToString(key), base64.RawURLEncoding.EncodeToString(key),
	} {
		if got, err := ParseKey(text); err != nil || !bytes.Equal(got, key) {
			t.Errorf("%s is read as %x, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "hush", hex.EncodeToString(key[1:]), base64.StdEncoding.EncodeToString(append(key, 1)), strings.Repeat("hush-key", 4)} {
		if _, err := ParseKey(text); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("the error for %q is %v", text, err)
		}
	}
	if _, err := New([][]byte{key, key}, false); err == nil {
		t.Error("the same key twice is no error")
	}
	if r, err := New(nil, true); r != nil || err != nil {
		t.Errorf("no keys are %v, %v", r, err)
	}
}

// TestForgetting remembers no more than so many opened values.
func TestForgetting(t *testing.T) {
	t.Parallel()
	r := newKeyring(t, false, 1)
	for range maxKnown + 10 {
		if _, err := r.DecryptOnce(place, r.Encrypt(nil, place, nil)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(r.known); n != 10 {
		t.Errorf("it remembers %d", n)
	}
}

// BenchmarkEncrypt encrypts and decrypts payloads, and decrypts a webhook's secret again.
func BenchmarkEncrypt(b *testing.B) {
	r := newKeyring(b, true, 1)
	for name, size := range map[string]int{"500B": 500, "64KiB": 64 << 10} {
		payload := make([]byte, size)
		encrypted := r.Encrypt(nil, place, payload)
		buffer := make([]byte, 0, len(encrypted))
		b.Run("encrypt "+name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				r.Encrypt(buffer, place, payload)
			}
		})
		b.Run("decrypt "+name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				if _, err := r.Decrypt(place, encrypted); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	secret := r.Encrypt(nil, place, []byte("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
	b.Run("decrypt secret again", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := r.DecryptOnce(place, secret); err != nil {
				b.Fatal(err)
			}
		}
	})
}
