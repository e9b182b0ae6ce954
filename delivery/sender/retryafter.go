package sender

import "net/http"

// maxRetryAfter is how many bytes of a Retry-After can be meant: the longest form of a date has
// no more.
const maxRetryAfter = 64

// retryAfter is the first Retry-After of a response that is no success, "" if it has none.
func retryAfter(resp *http.Response) string {
	if resp.StatusCode/100 == 2 {
		return ""
	}
	for _, value := range resp.Header["Retry-After"] {
		if value = shortRetryAfter(value); value != "" {
			return value
		}
	}
	return ""
}

// shortRetryAfter is the value, "" if it is too long to have a meaning.
func shortRetryAfter(value string) string {
	if len(value) > maxRetryAfter {
		return ""
	}
	return value
}
