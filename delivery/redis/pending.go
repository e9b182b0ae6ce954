package redis

import "context"

// Pending counts in steps of a few hundred webhooks, so that no script takes long. It reads
// the size of each webhook's schedule: a counter would make every Accept and Complete
// slower, and if it were ever wrong, it would stay wrong.
func (s *Store) Pending(ctx context.Context) (int64, error) {
	parts, err := s.inTurn()
	if err != nil {
		return 0, err
	}
	total := int64(0)
	for _, p := range parts {
		for cursor := "0"; ; {
			reply, err := s.run(ctx, pendingScript, p.base, cursor)
			if err != nil {
				return 0, err
			}
			if len(reply) != 3 {
				return 0, errUnknownReply
			}
			n, _ := reply[2].(int64)
			total += n
			if cursor, _ = reply[1].(string); cursor == "0" || cursor == "" {
				break
			}
		}
	}
	return total, nil
}
