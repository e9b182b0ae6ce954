package caddymodule

// OpenAPI is the document of an API whose events may have these types, without
// servers; no names stand for the default ones.
func OpenAPI(names ...string) ([]byte, error) {
	types, err := newEventTypes(names)
	if err != nil {
		return nil, err
	}
	return types.openapi()
}
