package api

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

// TestReadAll reads bodies that come in one piece or byte by byte, of known and of unknown
// length, into nothing and into what another body has left.
func TestReadAll(t *testing.T) {
	left := bytes.Repeat([]byte("x"), 10_000)
	for _, size := range []int{0, 1, 511, 512, 513, 4095, 4096, 4097, 9_999, 10_000, 10_001, 70_000} {
		body := bytes.Repeat([]byte("body "), size/5+1)[:size]
		for _, length := range []int64{-1, int64(size), 0, int64(size) / 2, int64(size) * 2} {
			for name, r := range map[string]io.Reader{
				"at once": bytes.NewReader(body), "byte by byte": iotest.OneByteReader(bytes.NewReader(body)),
				"end with the data": iotest.DataErrReader(bytes.NewReader(body)),
			} {
				var buffer []byte
				if name == "at once" {
					buffer = bytes.Clone(left)
				}
				got, err := readAll(r, buffer, length, anySize)
				if err != nil || !bytes.Equal(got, body) {
					t.Errorf("%d bytes, %d announced, %s: got %d bytes, %v", size, length, name, len(got), err)
				}
			}
		}
	}
}

// TestReadAllBelievesLittle announces more than it sends: there is no memory for what does
// not come, and none is left over for what does.
func TestReadAllBelievesLittle(t *testing.T) {
	errCut := errors.New("cut off")
	for _, arrived := range []int{0, 1, 5_000, 50_000} {
		r := io.MultiReader(bytes.NewReader(make([]byte, arrived)), iotest.ErrReader(errCut))
		got, err := readAll(r, nil, MaxArraySize, anySize)
		if len(got) != arrived || !errors.Is(err, errCut) {
			t.Errorf("of %d bytes, %d are read: %v", arrived, len(got), err)
		}
		if most := max(4097, 2*arrived+2); cap(got) > most {
			t.Errorf("for %d bytes there is room for %d, at most %d are wanted", arrived, cap(got), most)
		}
	}
	for _, size := range []int{1_000, 45_000} {
		got, err := readAll(bytes.NewReader(make([]byte, size)), nil, int64(size), anySize)
		if err != nil || cap(got) != size+1 {
			t.Errorf("for %d bytes there is room for %d: %v", size, cap(got), err)
		}
	}
}

// anySize lets any body grow.
func anySize(int64) error { return nil }
