package caddymodule

import (
	"fmt"
	"strconv"
)

// statuses are a set of the statuses that end a request: 200 to 599.
type statuses [600/64 + 1]uint64

func (s *statuses) add(status int)      { s[status/64] |= 1 << (status % 64) }
func (s *statuses) has(status int) bool { return status < 600 && s[status/64]>>(status%64)&1 == 1 }

// newStatuses are those that texts name, such as 201 or 2xx; 2xx if there are none.
func newStatuses(texts []string) (s statuses, err error) {
	if len(texts) == 0 {
		texts = []string{"2xx"}
	}
	for _, text := range texts {
		first, last := 0, 0
		if len(text) == 3 && text[1:] == "xx" {
			first = int(text[0]-'0') * 100
			last = first + 99
		} else if n, err := strconv.Atoi(text); err == nil {
			first, last = n, n
		}
		if first < 200 || last > 599 {
			return s, fmt.Errorf("on: '%s' is not a status from 200 to 599, nor one of 2xx, 3xx, 4xx and 5xx", text)
		}
		for status := first; status <= last; status++ {
			s.add(status)
		}
	}
	return s, nil
}
