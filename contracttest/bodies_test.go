package contracttest

import (
	"fmt"
	"net/http"
	"strings"
)

// bodies are response bodies, and what the log keeps of each, which is at most 1 KiB.
var bodies = []body{
	{"nothing", "", "", false},
	{"not UTF-8", "a\xffb", "a\uFFFDb", false},
	{"all that is kept", strings.Repeat("x", 1024), strings.Repeat("x", 1024), false},
	{"one byte more", strings.Repeat("x", 1025), strings.Repeat("x", 1024), true},
	{"cut between characters", "a" + strings.Repeat("é", 1000), "a" + strings.Repeat("é", 511), true},
	{"cut before four bytes", strings.Repeat("x", 1022) + "😀", strings.Repeat("x", 1022), true},
	{"control characters", "\x01\x1b<script>\"", "\x01\x1b<script>\"", false},
}

type body struct {
	name, sent, want string
	truncated        bool
}

func (b body) reply() func(int, http.ResponseWriter) {
	return func(_ int, w http.ResponseWriter) { fmt.Fprint(w, b.sent) }
}
