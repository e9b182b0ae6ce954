package delivery

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// Signature is the value of the signature header: "sha256=" and the hex
// HMAC-SHA256 of the body, keyed with the whole secret.
func Signature(secret string, body []byte) string {
	const prefix = "sha256="
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	var sum [sha256.Size]byte
	out := make([]byte, 0, len(prefix)+2*sha256.Size)
	out = append(out, prefix...)
	return string(hex.AppendEncode(out, mac.Sum(sum[:0])))
}

// standardPrefix marks a secret in the form of Standard Webhooks: base64 follows.
const standardPrefix = "whsec_"

// StandardSignature is the value of webhook-signature: v1 of Standard Webhooks,
// over the event's id, the attempt's time in Unix seconds and the body. A secret
// in that specification's own form is decoded; any other is taken as it is.
func StandardSignature(secret, id string, at time.Time, body []byte) string {
	key := []byte(secret)
	if encoded, ok := strings.CutPrefix(secret, standardPrefix); ok {
		if decoded, err := base64.StdEncoding.DecodeString(encoded); err == nil {
			key = decoded
		}
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
