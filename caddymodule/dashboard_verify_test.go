package caddymodule_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// verifyPrograms call the example of a language, but for Go's, which this test has itself.
var verifyPrograms = map[string]struct {
	command string
	file    string
	program string // around the example, in place of CODE
	missing string // what the language has for a header that is not there
	call    string // in place of CALLS, for each signature, in place of SIGNATURE
}{
	"JavaScript": {"node", "verify.mjs", `CODE
const headers = {};
const body = Buffer.from('{"größe":1}');
CALLS`, `headers["x-level-signature"]`, "console.log(verify('a secret', body, SIGNATURE));\n"},
	"Python": {"python3", "verify.py", `CODE
headers = {}
body = '{"größe":1}'.encode()
CALLS`, `headers.get("X-Level-Signature")`, "print(verify('a secret', body, SIGNATURE))\n"},
	"Ruby": {"ruby", "verify.rb", `CODE
headers = {}
body = '{"größe":1}'
CALLS`, `headers["HTTP_X_LEVEL_SIGNATURE"]`, "puts verify('a secret', body, SIGNATURE)\n"},
	"PHP": {"php", "verify.php", `<?php
CODE
$body = '{"größe":1}';
CALLS`, `$_SERVER["HTTP_X_LEVEL_SIGNATURE"] ?? null`, "echo var_export(verify('a secret', $body, SIGNATURE), true), \"\\n\";\n"},
}

// testVerify runs the examples that the page has for receivers: they take the signature
// that was sent, and refuse all others, and none, without an exception.
func testVerify(t *testing.T, d *dashboard) {
	const secret, body = "a secret", `{"größe":1}`
	webhook := d.subscribe("/in")
	d.api(http.MethodPost, "webhooks/"+webhook+"/test", "", http.StatusOK, nil)
	d.visit("#requests")
	d.openNewest()
	right := delivery.Signature(secret, []byte(body))
	wrong := []string{
		delivery.Signature(secret, []byte(`{"größe":2}`)), delivery.Signature("another", []byte(body)),
		right + "0", strings.TrimPrefix(right, "sha256="), "größe", "",
	}
	languages := strings.Split(d.text(`[...document.querySelectorAll("#detail select option")].map((each) => each.value)`), ",")
	if len(languages) != 1+len(verifyPrograms) {
		t.Errorf("there are examples in %q", languages)
	}
	for _, language := range languages {
		d.eval(`{
			const choice = document.querySelector("#detail select");
			choice.value = "` + language + `";
			choice.dispatchEvent(new Event("change"));
		}`)
		code := d.text(`document.querySelector("#detail pre[aria-label=Code]").textContent`)
		if language == "Go" {
			wantVerify(t, code)
			if !verify(secret, []byte(body), right) || slices.ContainsFunc(wrong, func(each string) bool { return verify(secret, []byte(body), each) }) {
				t.Error("Go: a signature is misjudged")
			}
			continue
		}
		p := verifyPrograms[language]
		calls := strings.Replace(p.call, "SIGNATURE", quote(right), 1) + strings.Replace(p.call, "SIGNATURE", p.missing, 1)
		for _, each := range wrong {
			calls += strings.Replace(p.call, "SIGNATURE", quote(each), 1)
		}
		file := filepath.Join(t.TempDir(), p.file)
		if err := os.WriteFile(file, []byte(strings.NewReplacer("CODE", code, "CALLS", calls).Replace(p.program)), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), p.command, file).CombinedOutput()
		got := strings.ToLower(strings.Join(strings.Fields(string(out)), " "))
		if want := "true" + strings.Repeat(" false", 1+len(wrong)); err != nil || got != want {
			t.Errorf("%s: %v: got %q, want %q", language, err, got, want)
		}
	}
}
