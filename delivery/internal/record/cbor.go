package record

import (
	"encoding/binary"
	"math"
)

// These functions write what events and rows of the log consist of, just as the encoder
// for webhooks would. Every event needs a record of each, and the encoder spends more time
// on reflection than on writing.

// The major types of CBOR.
const (
	majorUint  = 0 << 5
	majorInt   = 1 << 5 // below zero
	majorBytes = 2 << 5
	majorText  = 3 << 5
	majorArray = 4 << 5
	majorOther = 7 << 5
)

// appendHead begins an item in the shortest form.
func appendHead(b []byte, major byte, n uint64) []byte {
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n <= math.MaxUint8:
		return append(b, major|24, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(n))
	default:
		return binary.BigEndian.AppendUint64(append(b, major|27), n)
	}
}

// appendArray begins an array of n items.
func appendArray(b []byte, n uint64) []byte { return appendHead(b, majorArray, n) }

func appendInt(b []byte, n int64) []byte {
	if n < 0 {
		return appendHead(b, majorInt, uint64(^n))
	}
	return appendHead(b, majorUint, uint64(n))
}

func appendText(b []byte, s string) []byte {
	return append(appendHead(b, majorText, uint64(len(s))), s...)
}

func appendBytes(b, s []byte) []byte {
	return append(appendHead(b, majorBytes, uint64(len(s))), s...)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, majorOther|21)
	}
	return append(b, majorOther|20)
}
