package follow

import (
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"golang.org/x/crypto/chacha20poly1305"
)

// Keyed is a Source whose positions are sealed, so that a tenant does not learn from them when
// and how much others write. The key must be the same for as long as positions are known: a
// store that several processes use keeps it beside its record. It may have any length.
type Keyed interface {
	Source
	PositionKey() []byte
}

// sealer turns positions into text for the followers of a tenant, and back.
type sealer struct {
	aead cipher.AEAD // nil if positions are not sealed
}

func newSealer(source Source) sealer {
	keyed, ok := source.(Keyed)
	if !ok {
		return sealer{}
	}
	key := sha256.Sum256(keyed.PositionKey())
	aead, err := chacha20poly1305.NewX(key[:])
	if err != nil {
		panic(err) // for the length of the key alone
	}
	return sealer{aead}
}

// positionSize is how many bytes a position has.
const positionSize = 8 + 8 + 4

// seal makes another text each time: whoever waits must not see whether the position moved.
func (s sealer) seal(tenant string, p Position) string {
	if s.aead == nil {
		return p.String()
	}
	sealed := make([]byte, chacha20poly1305.NonceSizeX, chacha20poly1305.NonceSizeX+positionSize+chacha20poly1305.Overhead)
	_, _ = rand.Read(sealed) // which cannot fail
	var plain [positionSize]byte
	binary.BigEndian.PutUint64(plain[:], p.Major)
	binary.BigEndian.PutUint64(plain[8:], p.Minor)
	binary.BigEndian.PutUint32(plain[16:], p.Index)
	sealed = s.aead.Seal(sealed, sealed, plain[:], []byte(tenant))
	return base64.RawURLEncoding.EncodeToString(sealed)
}

// open is the position of a text. If it is none, or another tenant's, the result is the zero
// position, which no source may know.
func (s sealer) open(tenant, text string) Position {
	if s.aead == nil {
		return ParsePosition(text)
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(sealed) < chacha20poly1305.NonceSizeX {
		return Position{}
	}
	nonce, sealed := sealed[:chacha20poly1305.NonceSizeX], sealed[chacha20poly1305.NonceSizeX:]
	plain, err := s.aead.Open(nil, nonce, sealed, []byte(tenant))
	if err != nil || len(plain) != positionSize {
		return Position{}
	}
	return Position{
		Major: binary.BigEndian.Uint64(plain), Minor: binary.BigEndian.Uint64(plain[8:]), Index: binary.BigEndian.Uint32(plain[16:]),
	}
}
