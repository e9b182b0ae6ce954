package delivery

import "time"

// What a Store does in one operation, at most. It may do less.
const (
	// MaxClaim is how many deliveries of fast webhooks one Claim leases, and how many
	// of slow ones.
	MaxClaim = 500
	// MaxClaimBytes is how many bytes of payload one Claim reads; the last event may
	// exceed it.
	MaxClaimBytes = 8 << 20
	// ClaimEvery is the longest Claimed.Next: what other processes left is found by
	// then, though nothing was known to fall due.
	ClaimEvery = 5 * time.Second

	// MaxEventTypes is how many event types a tenant may have in its log: a page of it is a
	// merge of the requests of each.
	MaxEventTypes = 1000

	// MaxPage is how many rows a page of the log has.
	MaxPage = 1000
	// MaxRequestsOfDelivery is how far back the requests of one delivery are followed:
	// an event's page shows that many re-runs of it.
	MaxRequestsOfDelivery = 1000
)
