// Package embedded is a delivery.Store in one file on this machine's disk, for
// one process at a time.
//
// The file is a bbolt database: a B+tree that is written in whole transactions,
// each of which is on the disk before its caller goes on. What is changed at the
// same time is written in one transaction: while one is on its way to the disk,
// the next gathers.
//
// Memory holds what every operation asks for: webhooks, and the schedule of
// pending deliveries with their leases. It is changed after the disk has been,
// and read from it again when the store is opened. Leases are on no disk: they
// end with the process that holds them, as the only one.
package embedded
