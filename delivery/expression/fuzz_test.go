package expression

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// FuzzExpression has any text compiled and evaluated: an error is a sentence, a result is JSON, and
// both are the same each time.
func FuzzExpression(f *testing.F) {
	for _, source := range hostile() {
		f.Add(byte(Transform), source)
	}
	f.Add(byte(Filter), usualFilter)
	f.Add(byte(Transform), usualTransform)
	f.Add(byte(OrderBy), `tenant + string(data.severity)`)
	f.Add(byte(Filter), `data.text.matches("(") || "\xff" == b'\xff'`)
	f.Add(byte(Filter), strings.Repeat("((", 60)+"1")
	event := usualEvent()
	f.Fuzz(func(t *testing.T, kind byte, source string) {
		if len(source) > 300 { // the parser is slow, not wrong, on long ones
			return
		}
		p, err := Compile(Kind(kind%3), source)
		if err != nil {
			checkSentence(t, err)
			return
		}
		result, err := p.JSON(context.Background(), NewInput(event))
		again, errAgain := p.JSON(context.Background(), NewInput(event))
		if (err == nil) != (errAgain == nil) || !bytes.Equal(result, again) {
			t.Errorf("%s, %v and then %s, %v", result, err, again, errAgain)
		}
		switch {
		case err != nil:
			checkSentence(t, err)
		case len(result) > MaxMemory || !jsontext.Value(result).IsValid():
			t.Errorf("the result is no JSON, or too large: %.200s", result)
		}
	})
}

func checkSentence(t *testing.T, err error) {
	t.Helper()
	if text := err.Error(); text == "" || len(text) > 400 || strings.ContainsAny(text, "\n\x00") {
		t.Errorf("%q is no sentence", text)
	}
}

// FuzzData has any bytes decoded: what is JSON is read without loss, and nothing panics.
func FuzzData(f *testing.F) {
	f.Add(usualEvent().Data)
	f.Add([]byte(`{"a":[1,-0,1e400,0.10,"\u00e9\ud800\n"],"b":{"":null}}`))
	f.Add([]byte(`{"a":1`))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := decodeData(data)
		if err == nil && v == nil {
			t.Error("nothing, and no error")
		}
		if err != nil && jsontext.Value(data).IsValid() && len(data) < maxNesting {
			t.Errorf("%s: %v", data, err)
		}
	})
}
