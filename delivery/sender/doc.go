// Package sender is the HTTP client that makes requests to endpoints. It checks
// each address that it connects to against the allowed destinations, keeps
// connections of HTTP/1.1 and HTTP/2, directly or through a proxy, and says in a
// sentence why a request failed. It knows nothing of events and deliveries.
package sender
