// Package embedded is a delivery.Store in a folder on this machine's disk, for one
// process at a time.
//
// It is a bbolt database, a B+tree in a file, with a journal before it: what is
// changed is on the disk when it has been written to the journal, and goes to the
// database when the journal is full. What is changed at the same time is written
// together: while one write is on its way to the disk, the next gathers.
//
// Memory holds what every operation asks for: webhooks, and the schedule of
// pending deliveries with their leases. It is changed after the disk has been,
// and read from it again when the store is opened. Leases are on no disk: they
// end with the process that holds them, as the only one.
package embedded
