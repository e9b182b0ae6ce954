package caddymodule

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func gzipped(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestDecodeBody decodes what is encoded as it should be, and within bounds.
func TestDecodeBody(t *testing.T) {
	const text = `{"a":1}`
	z, err := zstd.NewWriter(nil, zstd.WithWindowSize(64<<20))
	if err != nil {
		t.Fatal(err)
	}
	huge := z.EncodeAll([]byte(strings.Repeat("x", 100<<20)), nil)
	for name, c := range map[string]struct {
		body     []byte
		encoding string
		want     string
		tooLarge bool
	}{
		"none":           {body: []byte(text), want: text},
		"identity":       {body: []byte(text), encoding: "identity", want: text},
		"gzip":           {body: gzipped(t, text), encoding: "GZIP", want: text},
		"twice":          {body: gzipped(t, string(gzipped(t, text))), encoding: "gzip, x-gzip", want: text},
		"three times":    {body: []byte(text), encoding: "gzip,gzip,gzip"},
		"no gzip":        {body: []byte(text), encoding: "gzip"},
		"no br":          {body: []byte(text), encoding: "br"},
		"no zstd":        {body: []byte(text), encoding: "zstd"},
		"cut off":        {body: gzipped(t, text)[:20], encoding: "gzip"},
		"just fits":      {body: gzipped(t, strings.Repeat("x", 1000)), encoding: "gzip", want: strings.Repeat("x", 1000)},
		"too large":      {body: gzipped(t, strings.Repeat("x", 1001)), encoding: "gzip", tooLarge: true},
		"bomb":           {body: gzipped(t, strings.Repeat("x", 100<<20)), encoding: "gzip", tooLarge: true},
		"zstd of 100 MB": {body: huge, encoding: "zstd"},
		"empty":          {encoding: "gzip"},
	} {
		got, err := decodeBody(c.body, c.encoding, 1000, nil)
		if string(got) != c.want || (err != nil) != (c.want == "" && c.body != nil) || c.tooLarge != errors.Is(err, errDecodedTooLarge) {
			t.Errorf("%s: got %.20q, %v", name, got, err)
		}
	}
}
