package caddymodule_test

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// guard makes a Caddyfile with the directive webhook_verify, whose options are from line 3 on.
func guard(scheme, lines string) string {
	return "http://:8080 {\n\twebhook_verify " + scheme + " {\n\t\t" + lines + "\n\t}\n}\n"
}

// TestVerifyConfiguration has mistakes in the directive, and what each is told: by caddy adapt, or
// by caddy validate if it takes placeholders to see it. Nobody is told the secret.
func TestVerifyConfiguration(t *testing.T) {
	t.Setenv("VERIFY_EMPTY", "")
	t.Setenv("VERIFY_BREAK", "hush\n")
	t.Setenv("VERIFY_WRONG", "whsec_hush!")
	for _, c := range []struct{ caddyfile, want string }{
		{guard("", "secret a"), "webhook_verify needs one scheme: one of github, level, slack, standard, stripe, at Caddyfile:2"},
		{guard("github stripe", "secret a"), "webhook_verify needs one scheme"},
		{guard("gitlab", "secret a"), "there is no such scheme: use one of github, level, slack, standard, stripe, at Caddyfile:2"},
		{guard("github", ""), "webhook_verify: secret is missing: give the one that the sender signs with, at Caddyfile:2"},
		{guard("github", "secret"), "wrong argument count or unexpected line ending after 'secret', at Caddyfile:3"},
		{guard("github", `secret ""`), "secret: a value is empty, at Caddyfile:3"},
		{guard("github", "secret "+strings.Repeat("hush ", 9)), "there can be 8 secrets at most, not 9, at Caddyfile:2"},
		{guard("standard", "secret whsec_hush!"), "secret must be padded base64 of the standard alphabet after whsec_, at Caddyfile:3"},
		{guard("github", "secret a\n\t\ttolerance 0"), "tolerance must be more than 0, at Caddyfile:4"},
		{guard("github", "secret a\n\t\ttolerance 10ms"), "tolerance must be 1s to 720h0m0s, not 10ms, at Caddyfile:2"},
		{guard("github", "secret a\n\t\ttolerance 31d"), "tolerance must be 1s to 720h0m0s, not 744h0m0s"},
		{guard("github", "secret a\n\t\tmax_size 33MiB"), "max_size must be 1 to 33554432 bytes, not 34603008"},
		{guard("github", "secret a\n\t\tname "+strings.Repeat("x", 129)), "name must have 128 bytes at most"},
		{guard("github", "secret a\n\t\tname a\n\t\tname b"), "name is given twice, at Caddyfile:5"},
		{guard("github", "secret a\n\t\tnonsense"), "unrecognized webhook_verify option 'nonsense', at Caddyfile:4"},
		{guard("github", "hush-secret"), "unrecognized webhook_verify option, at Caddyfile:3"},
		{guard("github", "secret {env.VERIFY_EMPTY}"), "webhook_verify: secret is empty: {env.VERIFY_EMPTY} has no value (is the environment variable set?)"},
		{guard("github", "secret {env.VERIFY_BREAK}"), "webhook_verify: secret ends with a line break, which comes from {env.VERIFY_BREAK}: remove it"},
		{guard("github", "secret {nonsense}"), "webhook_verify: secret is a placeholder that means nothing here"},
		{guard("standard", "secret {env.VERIFY_WRONG}"), "webhook_verify: secret must be padded base64"},
	} {
		err := validate(c.caddyfile)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q:\n%v\nwant %s", c.caddyfile, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: the error has the secret: %v", c.caddyfile, err)
		}
	}
	for _, c := range []struct{ handler, want string }{
		{`{"handler":"webhook_verify"}`, "webhook_verify: the scheme is missing: one of github"},
		{`{"handler":"webhook_verify","scheme":"a"}`, "webhook_verify: there is no scheme 'a'"},
		{`{"handler":"webhook_verify","scheme":"github"}`, "webhook_verify: secret is missing"},
		{`{"handler":"webhook_verify","scheme":"github","secrets":["a"],"tolerance":-1}`, "webhook_verify: tolerance must be 1s"},
		{`{"handler":"webhook_verify","scheme":"github","secrets":["a"],"max_size":-1}`, "webhook_verify: max_size must be 1"},
		{`{"handler":"webhook_verify","scheme":"github","secrets":[""]}`, "webhook_verify: secret is empty"},
	} {
		config := `{"admin":{"disabled":true},"apps":{"http":{"servers":{"a":{"listen":["127.0.0.1:0"],"routes":[{"handle":[` + c.handler + `]}]}}}}}`
		if err := caddy.Load([]byte(config), true); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.handler, err, c.want)
		}
	}
	if err := validate(guard("github", "secret a\n\t\ttolerance 1h\n\t\tmax_size 32MiB\n\t\tname b")); err != nil {
		t.Error(err)
	}
}
