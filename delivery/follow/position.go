package follow

import (
	"cmp"
	"math"
	"strconv"
	"strings"
)

// Position is a position in the order in which requests were written. Major and Minor are
// chosen by the source, and identify what it wrote in one step. Index is for a source that
// writes many requests in a step: the position is behind the first Index requests of the
// tenant in that step.
type Position struct {
	Major, Minor uint64
	Index        uint32
}

// All is the Index of a position behind all requests of a step.
const All = math.MaxUint32

// Compare orders positions.
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(p.Major, q.Major), cmp.Compare(p.Minor, q.Minor), cmp.Compare(p.Index, q.Index))
}

// String formats the position for ParsePosition.
func (p Position) String() string {
	b := strconv.AppendUint(make([]byte, 0, 40), p.Major, 10)
	b = strconv.AppendUint(append(b, '-'), p.Minor, 10)
	if p.Index != All {
		b = strconv.AppendUint(append(b, '-'), uint64(p.Index), 10)
	}
	return string(b)
}

// ParsePosition parses a position. If the text is not one, the result is the zero position,
// which no source may know.
func ParsePosition(s string) Position {
	major, rest, _ := strings.Cut(s, "-")
	minor, index, partial := strings.Cut(rest, "-")
	p := Position{Index: All}
	var err [3]error
	p.Major, err[0] = strconv.ParseUint(major, 10, 64)
	p.Minor, err[1] = strconv.ParseUint(minor, 10, 64)
	if partial {
		var n uint64
		n, err[2] = strconv.ParseUint(index, 10, 32)
		p.Index = uint32(n)
	}
	if err != [3]error{} || p.String() != s {
		return Position{}
	}
	return p
}
