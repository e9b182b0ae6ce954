package api

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// misfit is a place where a value is not as its schema has it.
type misfit struct {
	path   []string
	detail string // a sentence, in which there is nothing of the value
}

// misfits are those that an error of the library tells of, in the order of their places. Its own
// texts are not used: they repeat values.
func misfits(err error) []misfit {
	var found []misfit
	if of, ok := errors.AsType[*jsonschema.ValidationError](err); ok {
		found = appendMisfits(nil, of)
	}
	slices.SortFunc(found, func(a, b misfit) int {
		return cmp.Or(slices.CompareFunc(a.path, b.path, comparePathParts), strings.Compare(a.detail, b.detail))
	})
	return found
}

func comparePathParts(a, b string) int {
	i, errA := strconv.Atoi(a)
	j, errB := strconv.Atoi(b)
	if errA == nil && errB == nil {
		return cmp.Compare(i, j)
	}
	return strings.Compare(a, b)
}

func appendMisfits(found []misfit, of *jsonschema.ValidationError) []misfit {
	at := of.InstanceLocation
	members := func(names []string, detail string) {
		for _, name := range names {
			found = append(found, misfit{append(slices.Clone(at), name), detail})
		}
	}
	switch k := of.ErrorKind.(type) {
	case *kind.Schema, *kind.Group, *kind.AllOf, *kind.Reference:
		for _, cause := range of.Causes {
			found = appendMisfits(found, cause)
		}
	case *kind.Required:
		members(k.Missing, "The schema requires this member.")
	case *kind.DependentRequired:
		members(k.Missing, "The schema requires this member beside "+shorten(k.Prop)+".")
	case *kind.AdditionalProperties:
		members(k.Properties, "The schema has no such member.")
	case *kind.PropertyNames:
		// Its place is not reliable: the library writes others over it.
		found = append(found, misfit{nil, "The schema allows no member named " + shorten(k.Property) + "."})
	default:
		found = append(found, misfit{at, misfitDetail(of.ErrorKind)})
	}
	return found
}

// misfitDetail says what a schema wants of a value.
func misfitDetail(of jsonschema.ErrorKind) string {
	switch k := of.(type) {
	case *kind.Type:
		return "This must be " + typeNames(k.Want) + "."
	case *kind.Enum:
		return "This must be one of the values that the schema lists" + listed(k.Want) + "."
	case *kind.Const:
		return "This must be the value that the schema names" + listed([]any{k.Want}) + "."
	case *kind.Pattern:
		return "This must match the pattern " + shorten(k.Want) + "."
	case *kind.Format: // of patterns in schemas
		return "This must be a regular expression, of those that RE2 knows."
	case *kind.FalseSchema:
		return "The schema allows nothing here."
	case *kind.Not:
		return "The schema excludes this value, by not."
	case *kind.AnyOf:
		return "This must fit one of the schemas in anyOf."
	case *kind.OneOf:
		return "This must fit exactly one of the schemas in oneOf."
	case *kind.Contains:
		return "This must have an element that fits the schema in contains."
	case *kind.UniqueItems:
		return fmt.Sprintf("The elements must differ, but those at %d and %d are the same.", k.Duplicates[0], k.Duplicates[1])
	default:
		return boundDetail(of)
	}
}

// boundDetail says it of the keywords that bound something.
func boundDetail(of jsonschema.ErrorKind) string {
	switch k := of.(type) {
	case *kind.MinLength:
		return fmt.Sprintf("This must have at least %d characters.", k.Want)
	case *kind.MaxLength:
		return fmt.Sprintf("This must have at most %d characters.", k.Want)
	case *kind.MinItems:
		return fmt.Sprintf("This must have at least %d elements.", k.Want)
	case *kind.MaxItems:
		return fmt.Sprintf("This must have at most %d elements.", k.Want)
	case *kind.MinProperties:
		return fmt.Sprintf("This must have at least %d members.", k.Want)
	case *kind.MaxProperties:
		return fmt.Sprintf("This must have at most %d members.", k.Want)
	case *kind.Minimum:
		return "This must be " + number(k.Want) + " or more."
	case *kind.Maximum:
		return "This must be " + number(k.Want) + " or less."
	case *kind.ExclusiveMinimum:
		return "This must be more than " + number(k.Want) + "."
	case *kind.ExclusiveMaximum:
		return "This must be less than " + number(k.Want) + "."
	case *kind.MultipleOf:
		return "This must be a multiple of " + number(k.Want) + "."
	default:
		return "This does not fit the schema, by " + strings.Join(of.KeywordPath(), ".") + "."
	}
}

// typeNames are types of JSON with their articles.
func typeNames(types []string) string {
	named := make([]string, len(types))
	for i, name := range types {
		switch name {
		case "null":
			named[i] = name
		case "integer", "array", "object":
			named[i] = "an " + name
		default:
			named[i] = "a " + name
		}
	}
	return strings.Join(named, " or ")
}

// listed are values of a schema, if they are few.
func listed(values []any) string {
	const most = 200
	var texts []string
	for _, value := range values {
		text, err := json.Marshal(value)
		if err != nil {
			return ""
		}
		texts = append(texts, string(text))
	}
	if text := strings.Join(texts, ", "); len(text) <= most {
		return ": " + text
	}
	return ""
}

func number(of *big.Rat) string {
	value, _ := of.Float64()
	return strconv.FormatFloat(value, 'g', -1, 64)
}

// hasCycle reports whether nothing fits since a schema refers to nothing but itself.
func hasCycle(err error) bool {
	of, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return false
	}
	if _, ok := of.ErrorKind.(*kind.RefCycle); ok {
		return true
	}
	return slices.ContainsFunc(of.Causes, func(cause *jsonschema.ValidationError) bool { return hasCycle(cause) })
}
