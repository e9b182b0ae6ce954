package redis

import (
	"context"
	"encoding/hex"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

var markReceivedScript = loadScript("mark_received")

// receivedAs are what messages are marked as, for the script.
var receivedAs = map[delivery.ReceivedAs]string{
	delivery.Receiving: "receiving", delivery.Received: "received", delivery.NotReceived: "not",
}

// MarkReceived marks a message that others have sent. Messages are spread over the partitions.
func (s *Store) MarkReceived(ctx context.Context, mark *delivery.ReceivedMark) error {
	message := hex.EncodeToString(mark.Message[:])
	p, err := s.at(message)
	if err != nil {
		return err
	}
	args := []any{receivedAs[mark.As], mark.Token.String(), mark.For.Milliseconds()}
	for _, guard := range mark.Guards {
		args = append(args, message+":"+hex.EncodeToString(guard[:]))
	}
	reply, err := s.run(ctx, markReceivedScript, p.base, args...)
	switch {
	case err != nil:
		return err
	case len(reply) != 2:
		return errUnknownReply
	case reply[1] == "received":
		return delivery.ErrReceived
	case reply[1] == "receiving":
		return delivery.ErrReceiving
	case reply[1] != "marked":
		return errUnknownReply
	}
	return nil
}
