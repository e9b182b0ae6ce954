package delivery

import (
	"regexp"
	"strings"
)

const noSuchKey = "no such key: "

// quotes finds what the library of expressions and the parsers that it uses quote in errors.
var quotes = regexp.MustCompile("\"(?:\\\\.|[^\"\\\\])*\"|`[^`]*`|" + noSuchKey + ".*")

// withoutData is the text of an error of an expression without what it quotes of an event's data: the
// log keeps it when the event is erased. What the expression itself says is no secret.
func withoutData(source, text string) string {
	return quotes.ReplaceAllStringFunc(text, func(quote string) string {
		if key, ok := strings.CutPrefix(quote, noSuchKey); ok {
			if strings.Contains(source, key) {
				return quote
			}
			return "no such key"
		}
		if strings.Contains(source, quote[1:len(quote)-1]) {
			return quote
		}
		return "…"
	})
}
