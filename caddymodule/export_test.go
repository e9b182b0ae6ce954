package caddymodule

import "time"

// SetBodyPatience changes how long bodies may take to arrive. No configuration may be loaded.
func SetBodyPatience(patience time.Duration) (restore func()) {
	before := intake.Patience
	intake.Patience = patience
	return func() { intake.Patience = before }
}
