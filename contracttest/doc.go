// Package contracttest holds tests written from the contract alone. They check what
// clients of the HTTP API and endpoints see of a real Caddy, with each of the stores.
// They use nothing of the packages that they test, so that they do not repeat a
// misreading of the contract.
package contracttest
