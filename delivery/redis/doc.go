// Package redis keeps what delivery.Store keeps in Redis 7.0 or newer:
// standalone, behind Sentinel, or a Cluster.
//
// A partition is a hash of the tenant. All keys of one partition share a slot,
// so that each operation is one script on one node, and one atomic step. keys.go
// says which keys there are and what they hold; scripts/ has one file for each
// script; accept.go, claim.go, complete.go and so on are the Go side of these.
//
// The clock is Redis's: every script answers with its time, from which Now is
// reckoned. The schedule has one of its own, which is not set back with it: see
// read_clock in common.lua.
package redis
