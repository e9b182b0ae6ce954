package api

import "iter"

// subschemas are all objects of a decoded schema that are schemas, itself included. What is
// below a keyword that nobody knows is taken for schemas, too.
func subschemas(schema any) iter.Seq[map[string]any] {
	return func(yield func(map[string]any) bool) { eachSubschema(schema, yield) }
}

func eachSubschema(v any, yield func(map[string]any) bool) bool {
	switch v := v.(type) {
	case []any:
		for _, element := range v {
			if !eachSubschema(element, yield) {
				return false
			}
		}
	case map[string]any:
		if !yield(v) {
			return false
		}
		for keyword, value := range v {
			if !eachBelow(keyword, value, yield) {
				return false
			}
		}
	}
	return true
}

// eachBelow goes through the schemas in the value of a keyword.
func eachBelow(keyword string, value any, yield func(map[string]any) bool) bool {
	switch keyword {
	case "const", "enum", "default", "examples":
		return true // data
	case "properties", "patternProperties", "$defs", "definitions", "dependentSchemas":
		named, _ := value.(map[string]any)
		for _, schema := range named {
			if !eachSubschema(schema, yield) {
				return false
			}
		}
		return true
	default:
		return eachSubschema(value, yield)
	}
}
