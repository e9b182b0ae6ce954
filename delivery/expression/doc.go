// Package expression evaluates expressions in the Common Expression Language over events: what a
// webhook filters by, orders by and transforms events with. Whoever writes them is an admin of one
// tenant of many, so each evaluation has a bound on what it does and on the memory that it takes,
// which is the same on every machine, however busy: an expression gives the same result for the
// same event each time.
package expression
