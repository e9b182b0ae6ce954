package caddymodule_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/internal/openapitest"
)

// The members of webhooks have a document, which this file holds to the API:
//
//   - Each member that can be written has a section of the second level, whose heading is its
//     name as code, such as "## `url`". Each member that can only be read is named somewhere.
//   - Each section of a member has blocks of json, each the body of a call that succeeds: one
//     with a url is a POST, which creates a webhook, and one without is a PATCH of the webhook
//     that was created last. At least one of them has the member. A block of json rotate-secret is
//     a POST to that path of the webhook.
//   - The answer has what was given, as far as it has the members; null stands for anything.
//
// Caddy runs with the options of webhooksDocConfig; a member that needs one more adds it there.
const (
	webhooksDoc       = "../docs/webhooks.md"
	webhooksDocConfig = ""
)

// webhooksDocSections are the sections of the document, by the name of their member.
func webhooksDocSections(t *testing.T) (text string, sections map[string]string) {
	t.Helper()
	raw, err := os.ReadFile(webhooksDoc)
	if err != nil {
		t.Fatal(err)
	}
	sections = make(map[string]string)
	for _, section := range strings.Split(string(raw), "\n## ")[1:] {
		heading, body, _ := strings.Cut(section, "\n")
		if name := regexp.MustCompile("^`([a-z_]+)`$").FindStringSubmatch(heading); name != nil {
			sections[name[1]] = body
		}
	}
	return string(raw), sections
}

// TestWebhooksDocMembers compares the members in the document with those of the API.
func TestWebhooksDocMembers(t *testing.T) {
	t.Parallel()
	text, sections := webhooksDocSections(t)
	writable := webhookMembers(t, "NewWebhook")
	if got, want := slices.Sorted(maps.Keys(sections)), slices.Sorted(maps.Keys(writable)); !slices.Equal(got, want) {
		t.Errorf("%s has sections for %q, and webhooks have the members %q", webhooksDoc, got, want)
	}
	for name := range webhookMembers(t, "Webhook") {
		if writable[name] == nil && !strings.Contains(text, "`"+name+"`") {
			t.Errorf("%s does not have the member %s", webhooksDoc, name)
		}
	}
}

// webhookMembers are the members that a schema of the OpenAPI document has.
func webhookMembers(t *testing.T, schema string) map[string]any {
	t.Helper()
	document, err := openapitest.Standard()
	if err != nil {
		t.Fatal(err)
	}
	found, _ := document.At(document.Root, "components", "schemas", schema, "properties")
	members, ok := found.(map[string]any)
	if !ok {
		t.Fatal("there is no schema " + schema)
	}
	return members
}

// TestWebhooksDocExamples makes the calls that the document shows.
func TestWebhooksDocExamples(t *testing.T) {
	s := startSite(t, siteConfig{webhooks: "store embedded " + t.TempDir() + "\n" + webhooksDocConfig})
	s.ready()
	_, sections := webhooksDocSections(t)
	for _, name := range slices.Sorted(maps.Keys(sections)) {
		t.Run(name, func(t *testing.T) {
			shown := false
			path := ""
			for _, block := range regexp.MustCompile("(?ms)^```json(?: ([a-z-]+))?\n(.*?)^```$").FindAllStringSubmatch(sections[name], -1) {
				var given, answer map[string]any
				if err := json.Unmarshal([]byte(block[2]), &given); err != nil {
					t.Fatalf("%v: %s", err, block[2])
				}
				_, has := given[name]
				shown = shown || has
				var got reply
				if _, create := given["url"]; block[1] != "" {
					got = s.admin(http.MethodPost, path+"/"+block[1], block[2])
					got.want(t, http.StatusOK, &answer)
				} else if create {
					got = s.admin(http.MethodPost, "api/webhooks", block[2])
					got.want(t, http.StatusCreated, &answer)
					path = "api/" + got.header.Get("Location")
				} else {
					got = s.admin(http.MethodPatch, path, block[2])
					got.want(t, http.StatusOK, &answer)
				}
				if !hasGiven(answer, given) {
					t.Errorf("%s\nis answered with\n%s", block[2], got.body)
				}
			}
			if !shown {
				t.Error("no example has this member")
			}
		})
	}
}

// hasGiven reports whether an answer has what was given. Objects in it may leave members out,
// such as credentials, and have others.
func hasGiven(answer, given any) bool {
	object, ok := given.(map[string]any)
	if !ok {
		return given == nil || reflect.DeepEqual(answer, given)
	}
	answered, ok := answer.(map[string]any)
	for name, each := range object {
		if got, there := answered[name]; there && !hasGiven(got, each) {
			return false
		}
	}
	return ok
}
