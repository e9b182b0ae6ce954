package api

import (
	"net/http"
	"time"
)

// Role is what a caller may do. A greater one may do more, but that a viewer may emit no
// events.
type Role int

// The roles.
const (
	Nobody  Role = iota
	Emitter      // may emit events
	Viewer       // may read everything
	Admin        // may do everything
)

// may says whether the role is enough for an operation.
func (r Role) may(op operation) bool {
	if r == Viewer {
		return op.who == Nobody || op.method == http.MethodGet
	}
	return r >= op.who
}

// Refusal is the answer to a caller who has no role although there is more to say than
// that a token is missing. One with 401 says beside that which credentials there are.
type Refusal struct {
	Status     int
	Detail     string        // for the caller
	RetryAfter time.Duration // whole seconds; 0 if the same will be refused again
}

// crossOrigin refuses calls that change something and come from a page of another
// origin: browsers send Basic credentials along by themselves.
var crossOrigin = http.NewCrossOriginProtection()

// refuse is the problem of a caller whose role is not enough for an operation.
func (c *Caller) refuse(w http.ResponseWriter, op operation) *problem {
	detail := "This call needs a token: send it in the header \"Authorization: Bearer <token>\"."
	switch {
	case c.Refusal != nil && c.Refusal.Status == http.StatusUnauthorized:
		detail = c.Refusal.Detail
	case c.Refusal != nil:
		return &problem{Status: c.Refusal.Status, Detail: c.Refusal.Detail, retryAfter: c.Refusal.RetryAfter}
	case c.Role == Emitter:
		return &problem{Status: http.StatusForbidden, forAdmins: true, Detail: "This call needs an admin token: an emit token may only emit events and list their types."}
	case c.Role == Viewer && op.who == Emitter:
		return &problem{Status: http.StatusForbidden, Detail: "This call needs an emit token or an admin token: a viewer token may only read."}
	case c.Role == Viewer:
		return &problem{Status: http.StatusForbidden, Detail: "This call needs an admin token: a viewer token may only read."}
	}
	w.Header().Add("WWW-Authenticate", "Bearer")
	w.Header().Add("WWW-Authenticate", `Basic realm="webhooks", charset="UTF-8"`)
	return &problem{Status: http.StatusUnauthorized, Detail: detail}
}
