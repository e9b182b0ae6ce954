// Package contracttest holds tests written from the contract alone: what a client
// of the HTTP API and an endpoint see of a real Caddy with a real Redis. They use
// nothing of the packages that they test, so that a misreading of the contract is
// not made twice.
package contracttest
