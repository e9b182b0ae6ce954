package caddymodule

// ForgetOutcomes has the log tell of the next event with each outcome, whatever it has told of
// within the minute.
func ForgetOutcomes() {
	gateway.outcomes.mu.Lock()
	defer gateway.outcomes.mu.Unlock()
	gateway.outcomes.last, gateway.outcomes.held = nil, nil
}
