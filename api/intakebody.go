package api

import (
	"errors"
	"net/http"
	"time"
)

// ReadBody reads the body of a request that is for somebody else, within the room of the
// intake and in the time that a body may take, and returns it with what gives the room back. Of
// takes the room, as a tenant does: it must not be the name of one. An error is for
// WriteProblem.
func (in *Intake) ReadBody(w http.ResponseWriter, r *http.Request, of string, most int64) (body []byte, release func(), err error) {
	c := &call{Caller: Caller{Tenant: of}, api: &API{Backend: Backend{Intake: in}}}
	if r.ContentLength > most {
		return nil, nil, tooLarge(noBody, most)
	}
	arrival := new(arrival)
	arrival.begin(w, in.Patience, min(r.ContentLength, most))
	body, err = c.readForeign(w, r, most, arrival)
	if late, _ := arrival.end(); late {
		err = &problem{Status: http.StatusRequestTimeout, Detail: "The body did not arrive in time. Send the request again."}
	}
	if err != nil {
		c.leaveRoom()
		return nil, nil, err
	}
	return body, c.leaveRoom, nil
}

func (c *call) readForeign(w http.ResponseWriter, r *http.Request, most int64, arrival *arrival) ([]byte, error) {
	if r.ContentLength > smallBody {
		if err := c.takeRoom(r.Context(), r.ContentLength+1); err != nil {
			return nil, err
		}
	}
	body, err := readAll(http.MaxBytesReader(w, r.Body, most), nil, r.ContentLength, func(size int64) error {
		if r.ContentLength < 0 {
			arrival.grow(size)
		}
		return c.growRoom(size)
	})
	if _, ok := errors.AsType[*problem](err); err != nil && !ok {
		err = unread(noBody, err)
	}
	return body, err
}

// Problem is an error that WriteProblem answers with. RetryAfter is when the request may be sent
// again, 0 if it says nothing of that.
func Problem(status int, detail string, retryAfter time.Duration) error {
	return &problem{Status: status, Detail: detail, retryAfter: retryAfter}
}

// ProblemStatus is the status of an answer with such an error.
func ProblemStatus(err error) int {
	if p, ok := errors.AsType[*problem](err); ok {
		return p.Status
	}
	return http.StatusInternalServerError
}

// WriteProblem answers with an error of ReadBody or Problem. Unread says that there may be a
// body that was not read to its end.
func WriteProblem(w http.ResponseWriter, err error, unread bool) error {
	p, ok := errors.AsType[*problem](err)
	if !ok {
		return err
	}
	setCommonHeaders(w)
	if unread {
		hurryRest(w)
	}
	return p.writeJSON(w)
}
