package sender

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// keepAlive returns how long a connection of HTTP/1 may be idle before its next
// request. That is less than the endpoint says in Keep-Alive that it waits for one,
// since the next request takes its time to arrive.
func keepAlive(header http.Header) time.Duration {
	keepFor := forever
	for _, value := range header["Keep-Alive"] {
		keepFor = min(keepFor, keepAliveFor(value))
	}
	return keepFor
}

// keepAliveFor is the same for one value of the header.
func keepAliveFor(value string) time.Duration {
	keepFor := forever
	for parameter := range strings.SplitSeq(value, ",") {
		name, number, _ := strings.Cut(strings.TrimSpace(parameter), "=")
		n, err := strconv.ParseUint(number, 10, 31)
		if err != nil {
			continue
		}
		switch {
		case strings.EqualFold(name, "timeout"):
			timeout := time.Duration(n) * time.Second
			keepFor = min(keepFor, timeout-min(time.Second, timeout/2))
		case strings.EqualFold(name, "max") && n == 0: // requests that it still takes
			keepFor = 0
		}
	}
	return keepFor
}
