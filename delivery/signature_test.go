package delivery

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestSignature(t *testing.T) {
	for _, tc := range []struct{ name, secret, body, want string }{
		// RFC 4231, test cases 2 and 1.
		{
			"text", "Jefe", "what do ya want for nothing?",
			"sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
		},
		{
			"bytes", "\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b", "Hi There",
			"sha256=b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
		},
		// GitHub's documentation of its own webhooks, whose form this is.
		{
			"GitHub's example", "It's a Secret to Everybody", "Hello, World!",
			"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
		},
		// openssl dgst -sha256 -hmac whsec_AAECAw==
		{
			"the whole text of a secret that begins with whsec_", "whsec_AAECAw==", "{}",
			"sha256=a8ca3864e3b7eaa817c171e0d47927fe3de14e252171edbd5cc0856e5e2772a2",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Signature(tc.secret, []byte(tc.body)); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestStandardSignature(t *testing.T) {
	for _, tc := range []struct{ name, secret, want string }{
		// The example of the specification's own libraries.
		{
			"the specification's example", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
			"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
		},
		{"any other secret, as it is", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "v1,ELhqG0Ku1gwOc1f4jyKdp3SFGFLAOdJ9bvpWLciCakI="},
		{"whsec_ and no base64, as it is", "whsec_not base64!", "v1,yUD2RuJUXJQ8HKsyjzbAMVmj4/ZkDavgvNxmEyGpKuU="},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := StandardSignature(tc.secret, "msg_p5jXN8AQM9LWM0D4loKWxJek",
				time.Unix(1614265330, 999_999_999), []byte(`{"test": 2432232314}`))
			if got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// A signer makes what crypto/hmac makes, of keys and bodies of any length, for many at a time.
func TestSignerIsHMAC(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOfN(rapid.Byte(), 0, 3*sha256.BlockSize).Draw(t, "key")
		s := newSigner(key)
		bodies := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 300), 1, 4).Draw(t, "bodies")
		got := make([]string, len(bodies))
		var all sync.WaitGroup
		for i, body := range bodies {
			all.Go(func() { got[i] = s.signature(body) })
		}
		all.Wait()
		for i, body := range bodies {
			mac := hmac.New(sha256.New, key)
			mac.Write(body)
			if want := "sha256=" + hex.EncodeToString(mac.Sum(nil)); got[i] != want {
				t.Fatalf("got %s, want %s", got[i], want)
			}
		}
	})
}
