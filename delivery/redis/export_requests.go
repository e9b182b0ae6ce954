package redis

import (
	"strings"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/encryption"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// requests reads the log day by day, by the index of each tenant.
func (e *export) requests() error {
	for i, p := range e.parts {
		days, err := e.client().ZRange(e.ctx, daysKey(p.base), 0, -1).Result()
		if err := e.mend(e.ctx, p.base, daysKey(p.base), err); err != nil {
			return err
		}
		for _, day := range days {
			err := e.scan(func(cursor uint64) *redis.ScanCmd {
				return e.client().SScan(e.ctx, logsKey(p.base, day), cursor, "", delivery.BatchItems)
			}, func(names []string) error {
				for _, name := range names {
					if strings.Contains(name, ":") {
						continue // a webhook's log, whose rows are also in its tenant's
					}
					if err := e.log(p, name, day, e.swept[i]); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// memberSize is the length of a member of a log: see keys.go.
const memberSize = 2 + 1 + 16

// log reads a tenant's rows of one day.
func (e *export) log(p *partition, tenant, day string, swept int64) error {
	for from := "-"; ; {
		members, err := e.client().ZRangeByLex(e.ctx, logKey(p.base, tenant, day), &redis.ZRangeBy{
			Min: from, Max: "+", Count: delivery.BatchItems,
		}).Result()
		if err := e.mend(e.ctx, p.base, logKey(p.base, tenant, day), err); err != nil {
			return err
		}
		if len(members) == 0 {
			return nil
		}
		from = "(" + members[len(members)-1]
		args := make([]any, 0, 1+len(members))
		args = append(args, tenant)
		for _, m := range members {
			if len(m) == memberSize {
				args = append(args, m[memberSize-16:])
			}
		}
		reply, err := e.run(e.ctx, rowsScript, p.base, args...)
		if err != nil {
			return err
		}
		rows, err := e.keptRows(p, tenant, reply[1:], swept)
		if err != nil {
			return err
		}
		if err := e.bodies(p, rows); err != nil {
			return err
		}
	}
}

// keptRows decodes rows, without those of hours that are being dropped.
func (e *export) keptRows(p *partition, tenant string, reply []any, swept int64) ([]delivery.StoredRequest, error) {
	all, err := e.decodeRows(e.ctx, p, tenant, reply)
	if err != nil {
		return nil, err
	}
	previous := make(map[string]string, len(all)) // by the raw id
	for r := reply; len(r) >= 2; r = r[2:] {
		id, _ := r[0].(string)
		previous[id], _ = r[1].(string)
	}
	rows := make([]delivery.StoredRequest, 0, len(all))
	for i := range all {
		if record.Hour(all[i].StartedAt()) >= swept {
			raw := previous[string(all[i].ID[:])]
			rows = append(rows, delivery.StoredRequest{Request: all[i], Previous: uuid.UUID([]byte(raw[:previousSize]))})
		}
	}
	return rows, nil
}

// bodies adds the rows to the batch with their response bodies.
func (e *export) bodies(p *partition, rows []delivery.StoredRequest) error {
	keys, sizes := make([]string, len(rows)), make([]*redis.IntCmd, len(rows))
	for _, keyOf := range []func(base string, id uuid.UUID) string{bodiesKey, oldBodiesKey} {
		err := e.pipeline(func(pipe redis.Pipeliner) {
			for i := range rows {
				if sizes[i] == nil || sizes[i].Val() == 0 {
					keys[i] = keyOf(p.base, rows[i].ID)
					sizes[i] = pipe.HStrLen(e.ctx, keys[i], string(rows[i].ID[:]))
				}
			}
		})
		if err != nil {
			return err
		}
	}
	for first, end := range groups(sizes) {
		bodies := make([]*redis.StringCmd, end-first)
		err := e.pipeline(func(pipe redis.Pipeliner) {
			for i := first; i < end; i++ {
				if sizes[i].Val() > 0 {
					bodies[i-first] = pipe.HGet(e.ctx, keys[i], string(rows[i].ID[:]))
				}
			}
		})
		if err != nil {
			return err
		}
		for i := first; i < end; i++ {
			if body := bodies[i-first]; body != nil {
				rows[i].ResponseBody = body.Val()
			}
			if err := e.encryption.DecryptBody(&rows[i].Request); encryption.IsMissingKey(err) {
				return err
			} else if err != nil {
				rows[i].ResponseBody = ""
			}
			e.batch.AddRequest(rows[i])
			if err := e.added(); err != nil {
				return err
			}
		}
	}
	return nil
}
