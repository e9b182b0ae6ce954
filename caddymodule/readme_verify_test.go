package caddymodule_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func verify(secret string, body []byte, signature string) bool {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	want := "sha256=" + hex.EncodeToString(mac.Sum(nil))
	return hmac.Equal([]byte(signature), []byte(want))
}

// wantVerify checks that what is shown as verify is the function of this file.
func wantVerify(t *testing.T, shown string) {
	t.Helper()
	source, err := os.ReadFile("readme_verify_test.go")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(source), "\n"+shown) {
		t.Errorf("this test has another function than\n%s", shown)
	}
}

// checkVerify tries verify, which must be the README's, with a request that was
// signed with the README's secret, and with changed ones.
func checkVerify(t *testing.T, body []byte, signature string) {
	t.Helper()
	wantVerify(t, readmeBlocks(t, "Receive", "go")[0])
	for _, c := range verifyCases(body, signature) {
		var given string
		if c.Signature != nil {
			given = *c.Signature
		}
		if got := verify(c.Secret, c.Body, given); got != c.want {
			t.Errorf("Go says %t, want %t: %s", got, c.want, c.name)
		}
	}
}

// checkVerifyElsewhere does the same in the README's other languages.
func checkVerifyElsewhere(t *testing.T, body []byte, signature string) {
	t.Helper()
	cases := verifyCases(body, signature)
	input, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []struct{ language, program, file, calls string }{
		{"js", "node", "verify.mjs", `
import { readFileSync } from "node:fs";
for (const c of JSON.parse(readFileSync(0)))
  console.log(verify(c.secret, Buffer.from(c.body, "base64"), c.signature ?? undefined));
`},
		{"python", "python3", "verify.py", `
import base64, json, sys
for c in json.load(sys.stdin):
    print(str(verify(c["secret"], base64.b64decode(c["body"]), c["signature"])).lower())
`},
	} {
		file := filepath.Join(t.TempDir(), l.file)
		program := readmeBlocks(t, "Receive", l.language)[0] + l.calls
		if err := os.WriteFile(file, []byte(program), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), l.program, file)
		cmd.Stdin = bytes.NewReader(input)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s (scripts/need examples installs it): %v\n%s", l.program, err, stderr.String())
		}
		said := strings.Fields(string(out))
		if len(said) != len(cases) {
			t.Fatalf("%s says %q of %d requests", l.program, said, len(cases))
		}
		for i, c := range cases {
			if got := said[i] == "true"; got != c.want {
				t.Errorf("%s says %t, want %t: %s", l.program, got, c.want, c.name)
			}
		}
	}
}

// verifyCase is a request that a receiver gets, perhaps with another signature.
type verifyCase struct {
	name      string
	Secret    string  `json:"secret"`
	Body      []byte  `json:"body"`
	Signature *string `json:"signature"` // nil if the header is missing
	want      bool
}

func verifyCases(body []byte, signature string) []verifyCase {
	text := func(s string) *string { return &s }
	return []verifyCase{
		{"right", readmeSecret, body, &signature, true},
		{"another body", readmeSecret, append(bytes.Clone(body), ' '), &signature, false},
		{"another secret", readmeSecret + "!", body, &signature, false},
		{"without whsec_", strings.TrimPrefix(readmeSecret, "whsec_"), body, &signature, false},
		{"no signature", readmeSecret, body, nil, false},
		{"an empty signature", readmeSecret, body, text(""), false},
		{"a shorter signature", readmeSecret, body, text(signature[:len(signature)-1]), false},
		{"a longer signature", readmeSecret, body, text(signature + "0"), false},
		{"a changed signature", readmeSecret, body, text("sha256=" + strings.Repeat("0", 64)), false},
		{"not ASCII", readmeSecret, body, text("sha256=ä"), false},
	}
}
