// Package delivery is the engine that sends webhooks: it accepts events, keeps
// them in a Store, delivers each to every webhook that wants its type, tries
// again on a schedule, and keeps a log of every request. It knows nothing of
// Caddy.
//
// Data flows one way:
//
//	Engine.Emit → Store.Accept → dispatcher → Sender.Send → Store.Complete
//
// The words are those of the contract: an event is something that happened; a
// webhook is a subscription; a delivery is one event on its way to one webhook;
// a request is one HTTP attempt of a delivery and one row of the log.
package delivery
