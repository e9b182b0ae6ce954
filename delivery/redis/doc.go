// Package redis is a delivery.Store in Redis 7.0 or newer: standalone, behind Sentinel, or
// a Cluster.
//
// A partition is a hash of the tenant. All keys of a partition are in one slot, so that
// each operation is one script on one node, and one atomic step. keys.go lists the keys
// and what they have; scripts/ has one file for each script; accept.go, claim.go,
// complete.go and so on are the Go side of these.
//
// The clock is Redis's: every script replies with its time, from which Now is computed.
// The schedule has its own clock, which is not set back with Redis's: see read_clock in
// common.lua.
package redis
