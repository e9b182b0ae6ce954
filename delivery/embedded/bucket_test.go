package embedded

import (
	"reflect"
	"testing"
)

// TestNoMethodOfBolt checks that the types that operations use expose no method of bolt's:
// a change made by one of those would miss the journal and what is beside the database.
func TestNoMethodOfBolt(t *testing.T) {
	for _, v := range []any{bucket{}, journaled{}, unjournaled{}, &view{}, &txn{}} {
		shown := reflect.TypeOf(v)
		for i := range shown.NumMethod() { // the exported ones: bolt's are, ours are not
			t.Errorf("%v has the method %s", shown, shown.Method(i).Name)
		}
	}
}
