package api

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// mayStore refuses a call that would store something for a tenant that has stored as much as it
// may. What has begun before is not refused.
func (c *call) mayStore(ctx context.Context) error {
	most := c.api.Limits.Stored
	if most == 0 || !ValidTenant(c.Tenant) {
		return nil
	}
	stored, until, err := c.api.Engine.Stored(ctx, c.Tenant)
	if err != nil || stored < most {
		return err
	}
	wait := max(1, seconds(time.Until(until)))
	c.answer.Add("Ratelimit-Policy", fmt.Sprintf(`"stored";q=%d;qu="content-bytes"`, most))
	c.answer.Add("Ratelimit", fmt.Sprintf(`"stored";r=0;t=%d`, wait))
	return &problem{
		Status: http.StatusTooManyRequests, retryAfter: time.Duration(wait) * time.Second, limit: limitStored,
		Detail: fmt.Sprintf("This tenant has stored %d bytes of events and requests, and may store %d. There is room again when old ones are no longer kept; the earliest time is that of Retry-After.", stored, most),
	}
}
