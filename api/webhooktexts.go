package api

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// textsPatch is a merge patch of texts by name (RFC 7396): null removes one.
type textsPatch = optional[map[string]*string]

// merge applies a patch to texts, which it leaves as they are.
func merge(texts map[string]string, patch textsPatch) map[string]string {
	if patch.Null {
		return nil
	}
	merged := make(map[string]string, len(texts)+len(patch.Value))
	maps.Copy(merged, texts)
	for name, text := range patch.Value {
		if text == nil {
			delete(merged, name)
		} else {
			merged[name] = *text
		}
	}
	if len(merged) == 0 {
		return nil // as stores give it
	}
	return merged
}

// givenTexts are those that a patch does not remove, in the order of their names.
func givenTexts(patch textsPatch) (names []string) {
	for name, text := range patch.Value {
		if text != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// checkTexts checks what a patch gives. Whether there are too many is known once it is applied.
func checkTexts(member string, patch textsPatch, errs *fieldErrors, check func(name, text string) error) {
	names := givenTexts(patch)
	if len(names) > delivery.MaxTexts {
		errs.add(member, fmt.Sprintf("There may be %d of these, and here are %d.", delivery.MaxTexts, len(names)))
		return
	}
	for _, name := range names {
		errs.check(member+"."+shorten(name), check(name, *patch.Value[name]))
	}
}

func checkHeader(b *Backend) func(name, text string) error {
	return func(name, text string) error {
		if err := b.Settings.CheckHeaderName(name); err != nil {
			return err
		}
		return delivery.CheckHeaderValue(text)
	}
}

func checkMetadata(name, _ string) error {
	if name == "" {
		return errors.New("a name must not be empty")
	}
	return nil
}
