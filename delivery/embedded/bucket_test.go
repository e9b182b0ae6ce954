package embedded

import (
	"reflect"
	"testing"
)

// TestNoMethodOfBolt holds that what operations work with shows no method of bolt's: a
// change made by one of them would be neither in the journal nor beside the database.
func TestNoMethodOfBolt(t *testing.T) {
	for _, v := range []any{bucket{}, &journaled{}, unjournaled{}, &view{}, &txn{}} {
		shown := reflect.TypeOf(v)
		for i := range shown.NumMethod() { // the exported ones: bolt's are, ours are not
			t.Errorf("%v has the method %s", shown, shown.Method(i).Name)
		}
	}
}
