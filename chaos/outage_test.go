package chaos

import (
	"cmp"
	"slices"
	"time"
)

// unnoticed is how long a tenant may have no event accepted before that counts as an outage.
const unnoticed = time.Second

// outage returns for how long a tenant had no event accepted, all times together that were
// longer than unnoticed. The calls are those made from begin to end.
func outage(calls []call, tenant int, begin, end time.Time) (away time.Duration) {
	last := begin
	gap := func(until time.Time) {
		if d := until.Sub(last); d > unnoticed {
			away += d
		}
		last = until
	}
	for _, at := range acknowledgements(calls, tenant) {
		if at.After(begin) && at.Before(end) {
			gap(at)
		}
	}
	gap(end)
	return away
}

// acknowledgements returns when a tenant's calls were answered 202, sorted.
func acknowledgements(calls []call, tenant int) (at []time.Time) {
	for _, c := range calls {
		if c.tenant == tenant && c.outcome == acknowledged {
			at = append(at, c.end)
		}
	}
	slices.SortFunc(at, time.Time.Compare)
	return at
}

// worstOutage is that of the tenant who had the longest.
func worstOutage(calls []call, begin, end time.Time) (worst time.Duration) {
	for tenant := range tenants {
		worst = max(worst, outage(calls, tenant, begin, end))
	}
	return worst
}

// percentile is the time within which a part of the calls were answered that match.
func percentile(calls []call, part float64, match func(*call) bool) time.Duration {
	var took []time.Duration
	for i := range calls {
		if c := &calls[i]; match(c) {
			took = append(took, c.end.Sub(c.begin))
		}
	}
	if len(took) == 0 {
		return 0
	}
	slices.SortFunc(took, cmp.Compare[time.Duration])
	return took[min(len(took)-1, int(part*float64(len(took))))]
}

// worstReturn is how long after a fault had ended the last tenant had an event accepted: the
// longest such time of all faults.
func worstReturn(calls []call, faults []fault, end time.Time) (worst time.Duration) {
	for tenant := range tenants {
		at := acknowledgements(calls, tenant)
		for _, f := range faults {
			next, _ := slices.BinarySearchFunc(at, f.end, time.Time.Compare)
			back := end
			if next < len(at) {
				back = at[next]
			}
			worst = max(worst, back.Sub(f.end))
		}
	}
	return worst
}
