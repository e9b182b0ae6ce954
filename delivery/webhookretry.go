package delivery

import "time"

// Retry is what a webhook has in place of the configuration's RetryPolicy. It never changes.
type Retry struct {
	// Attempts in all. 0: one more than there are Delays or, if there are none, as many as
	// the configuration says.
	Attempts int
	// Delays are as in RetryPolicy; none: those of the configuration.
	Delays []time.Duration
	// Jitter is the least and the most; none: that of the configuration.
	Jitter []time.Duration
}

func (r *Retry) size() int {
	if r == nil {
		return 0
	}
	return retryBytes + 8*(len(r.Delays)+len(r.Jitter))
}

// retry is the policy for a webhook.
func (s *Settings) retry(w *Webhook) RetryPolicy {
	p := s.Retry
	r := w.Retry
	if r == nil {
		return p
	}
	if len(r.Delays) > 0 {
		p.Attempts, p.Delays = len(r.Delays)+1, r.Delays
	}
	if r.Attempts > 0 {
		p.Attempts = r.Attempts
	}
	if len(r.Jitter) == 2 {
		p.JitterMin, p.JitterMax = r.Jitter[0], r.Jitter[1]
	}
	return p
}
