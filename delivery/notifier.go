package delivery

// Notifier is told of what somebody may want to act on at once. Its methods must return at once
// and be safe for concurrent use. What they are given must be read before they return, and not
// changed.
type Notifier interface {
	// DeliveryFailed: the last attempt of a delivery has failed, or it was canceled.
	DeliveryFailed(last *Request)
	// WebhookDisabled: a webhook was disabled because of how requests to it ended. The last one
	// was for an event of this type.
	WebhookDisabled(w *Webhook, eventType string)
	// StoreAvailable: the store does its work for a partition again, or does not, and why not.
	// A store that could not be opened is said to be away, or there, for all partitions.
	StoreAvailable(partition int, err error)
}

// AllPartitions stands for all partitions of a store.
const AllPartitions = -1

// notify tells the notifier of the settings in force, if there is one.
func (e *Engine) notify(tell func(Notifier)) {
	if a := e.active.Load(); a != nil && a.settings.Notifier != nil {
		tell(a.settings.Notifier)
	}
}
