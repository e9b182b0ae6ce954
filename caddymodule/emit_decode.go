package caddymodule

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

var errDecodedTooLarge = errors.New("the body is larger than max_size once it is decoded")

const (
	// maxEncodings is how often a body may be encoded.
	maxEncodings = 2
	// maxZstdWindow is the memory that a zstd stream may ask for, as in RFC 9659.
	maxZstdWindow = 8 << 20
)

// decodeBody decodes a body by its Content-Encoding, to maxSize bytes at most. Take, unless it is nil,
// is asked for the memory first, and may refuse.
func decodeBody(body []byte, encoding string, maxSize int64, take func(bytes int64) bool) ([]byte, error) {
	if encoding == "" || len(body) == 0 {
		return body, nil
	}
	names := strings.Split(encoding, ",")
	if len(names) > maxEncodings {
		return nil, fmt.Errorf("the body is encoded %d times", len(names))
	}
	for _, name := range slices.Backward(names) { // the last one is the outermost
		var err error
		if body, err = decodeOnce(body, strings.ToLower(strings.TrimSpace(name)), maxSize, take); err != nil {
			return nil, err
		}
	}
	return body, nil
}

func decodeOnce(body []byte, encoding string, maxSize int64, take func(bytes int64) bool) ([]byte, error) {
	var decoder io.Reader
	switch encoding {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip":
		gz, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, fmt.Errorf("the body is not gzip, as its Content-Encoding says: %w", err)
		}
		decoder = gz
	case "zstd":
		z, err := zstd.NewReader(bytes.NewReader(body), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			return nil, fmt.Errorf("the body is not zstd, as its Content-Encoding says: %w", err)
		}
		defer z.Close()
		decoder = z
	case "br":
		decoder = brotli.NewReader(bytes.NewReader(body))
	default:
		return nil, errors.New("the body has a Content-Encoding other than gzip, zstd and br")
	}
	if take != nil {
		decoder = &takingReader{decoder, take}
	}
	decoded, err := io.ReadAll(io.LimitReader(decoder, maxSize+1))
	switch {
	case errors.Is(err, errQueueFull):
		return nil, err
	case int64(len(decoded)) > maxSize:
		return nil, errDecodedTooLarge
	case err != nil:
		return nil, fmt.Errorf("the body cannot be decoded from %s: %w", encoding, err)
	default:
		return decoded, nil
	}
}

// takingReader takes the memory of what is read.
type takingReader struct {
	io.Reader
	take func(bytes int64) bool
}

func (r *takingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if !r.take(int64(n)) {
		return 0, errQueueFull
	}
	return n, err
}
