package sender

import "time"

// Message is one request to send.
type Message struct {
	*Target
	// Values are those of the headers that the target has only names of, in its order.
	Values []string
	Body   []byte
	// Timeout is from connecting to the last byte of the response.
	Timeout time.Duration
	// Deadline is when that has passed; if it is zero, it begins now.
	Deadline time.Time
	// MaxResponse is how many bytes of the response body are kept.
	MaxResponse int
}

// Response is what came of a request.
type Response struct {
	// StatusCode is 0 if no status line came.
	StatusCode int
	// Body is UTF-8 text, cut between characters at MaxResponse bytes.
	Body      string
	Truncated bool
	// Failure is one sentence for an admin, of at most 512 bytes and without control
	// characters, or "" if the whole response came.
	// The status is not judged here.
	Failure string
	// Cause is the error behind Failure, for the log of whoever runs this.
	Cause error
	// TimedOut: the timeout passed before the whole response had come.
	TimedOut bool
	// RetryAfter is the header of that name (RFC 9110, 10.2.3), as it came with a status that is
	// no success; "" if there is none, or if it is too long to be one.
	RetryAfter string
}
