package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
)

// Errors of Store.MarkReceived, which are its answers.
var (
	// ErrReceived: the message has been received before.
	ErrReceived = errors.New("the message has been received before")
	// ErrReceiving: somebody else is receiving the message.
	ErrReceiving = errors.New("the message is being received")
)

// MaxGuards is how many guards a mark can be for.
const MaxGuards = 8

// ReceivedMark marks a message that others have sent to this side, so that nobody can send it
// again: first as being received, and then, by its outcome, as received or not.
type ReceivedMark struct {
	// Message is a hash of what tells the message from others.
	Message [16]byte
	// Guards are those for whom it is marked, at least one. A message is another one for a
	// guard that is not among them. If it is marked for any of them, it is for all.
	Guards []Guard
	// Token is that of whoever receives the message, the same in all marks of one request.
	Token uuid.UUID
	// As is what the message is marked as.
	As ReceivedAs
	// For is how long the mark lasts, unless another one replaces it.
	For time.Duration
}

// Guard names whoever must not receive a message twice.
type Guard [8]byte

// ReceivedAs is what a message is marked as.
type ReceivedAs byte

// What messages are marked as.
const (
	// Receiving is refused with ErrReceived if the message has been received, and with
	// ErrReceiving if it is being received under another token.
	Receiving ReceivedAs = iota + 1
	// Received is never refused, and lasts for as long as the longest such mark.
	Received
	// NotReceived removes the mark that a message is being received under the token.
	NotReceived
)

// MarkReceived marks a message. If the store does not say whether it did, or cannot, the
// message must not be received: a mark that nobody replaces ends by itself.
//
// Errors: ErrReceived, ErrReceiving, or those of the store.
func (e *Engine) MarkReceived(ctx context.Context, mark *ReceivedMark) error {
	if err := e.ready(ctx); err != nil {
		return err
	}
	return e.store.MarkReceived(ctx, mark)
}
