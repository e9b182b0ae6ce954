package caddymodule

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

func TestRedisIdentity(t *testing.T) {
	t.Setenv("WEBHOOKS_TEST_PASSWORD", "hush")
	identity := func(s RedisStore) string {
		t.Helper()
		if err := s.resolve(caddy.NewReplacer()); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(s.Identity(), "hush") {
			t.Errorf("a password in %s", s.Identity())
		}
		return s.Identity()
	}
	one := identity(RedisStore{URLs: []string{"redis://user:{env.WEBHOOKS_TEST_PASSWORD}@localhost:6379/1"}})
	for name, same := range map[string]RedisStore{
		"other password": {URLs: []string{"redis://user:hush2@localhost:6379/1"}},
		"TLS":            {URLs: []string{"rediss://localhost:6379/1"}},
		"default port":   {URLs: []string{"redis://localhost/1"}},
		"other case":     {URLs: []string{"redis://LOCALHOST:6379/1"}},
		"block":          {Addresses: []string{"localhost:6379"}, DB: 1, Password: "hush"},
		"default prefix": {Addresses: []string{"localhost:6379"}, DB: 1, KeyPrefix: "webhooks"},
		"partitions":     {Addresses: []string{"localhost:6379"}, DB: 1, Partitions: 4},
		"eviction":       {Addresses: []string{"localhost:6379"}, DB: 1, AllowEviction: true},
	} {
		if got := identity(same); got != one {
			t.Errorf("%s: %s is not %s", name, got, one)
		}
	}
	for name, other := range map[string]RedisStore{
		"other db":     {URLs: []string{"redis://localhost:6379/2"}},
		"other host":   {URLs: []string{"redis://example.com:6379/1"}},
		"other prefix": {URLs: []string{"redis://localhost:6379/1"}, KeyPrefix: "other"},
		"sentinel":     {Addresses: []string{"localhost:6379"}, DB: 1, Sentinel: "main"},
	} {
		if got := identity(other); got == one {
			t.Errorf("%s: the same %s", name, got)
		}
	}
	if identity(RedisStore{Addresses: []string{"a:1", "b:1"}}) != identity(RedisStore{URLs: []string{"redis://b:1", "redis://a:1"}}) {
		t.Error("the order of a cluster's nodes matters")
	}
}

func TestRedisOptions(t *testing.T) {
	s := RedisStore{URLs: []string{"rediss://user:pass%2Fword@a:1", "rediss://user:pass%2Fword@b:1"}, Partitions: 4, AllowEviction: true}
	if err := s.resolve(caddy.NewReplacer()); err != nil {
		t.Fatal(err)
	}
	o := s.options
	if o.Username != "user" || o.Password != "pass/word" || o.TLS == nil || o.TLS.ServerName != "" || o.Partitions != 4 || !o.AllowEviction || strings.Join(o.Addresses, " ") != "a:1 b:1" {
		t.Errorf("got %+v", o)
	}
}

func TestRedisErrorsKeepSecrets(t *testing.T) {
	t.Setenv("WEBHOOKS_TEST_URL", "redis://:hush@local host:1")
	t.Setenv("WEBHOOKS_TEST_EMPTY", "")
	for want, s := range map[string]RedisStore{
		"URL is incomplete":         {URLs: []string{"redis://:{env.WEBHOOKS_TEST_EMPTY}@localhost:6379"}},
		"the URL must be like":      {URLs: []string{"{env.WEBHOOKS_TEST_URL}"}},
		"an address must be a host": {Addresses: []string{"{env.WEBHOOKS_TEST_URL}"}},
		"password is empty":         {Addresses: []string{"a:1"}, Password: "{env.WEBHOOKS_TEST_EMPTY}"},
		"must begin with redis://":  {URLs: []string{"hush@localhost"}},
		"need sentinel":             {Addresses: []string{"a:1"}, SentinelPassword: "hush"},
		"must not contain braces":   {Addresses: []string{"a:1"}, KeyPrefix: "{x}"},
		"give a URL or an address":  {},
	} {
		err := s.resolve(caddy.NewReplacer())
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}
