package caddymodule

import "time"

// SetBodyPatience changes how long bodies may take to arrive. No configuration may be loaded.
func SetBodyPatience(patience time.Duration) (restore func()) {
	before := intake.Patience
	intake.Patience = patience
	return func() { intake.Patience = before }
}

// ForgetWrongTokens has handlers that are loaded from now on know of none. Pauses are long
// then: a test may be slow.
func ForgetWrongTokens() { theBrake = newBrake(longestPause) }

// GatewayApps is how many started configurations events of the traffic can be emitted by.
func GatewayApps() int {
	gateway.mu.Lock()
	defer gateway.mu.Unlock()
	return len(gateway.apps)
}

// GatewayWaiting is how many events of the traffic wait.
func GatewayWaiting() int64 { return gateway.waiting.Load() }
