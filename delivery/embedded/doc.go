// Package embedded is a delivery.Store in a folder on this machine's disk, for one
// process at a time.
//
// The data is in a bbolt database, a B+tree in a file, with a write-ahead journal. A
// change is durable once it is in the journal; it goes to the database when the journal
// is full. Changes made at the same time are written together: while one write is on
// its way to the disk, the next batch gathers.
//
// Memory holds what every operation needs: webhooks, and the schedule of pending
// deliveries with their leases. It is read from the disk when the store is opened, and
// changed only after the disk. Leases are in memory alone: they end with the only
// process that can hold any.
package embedded
