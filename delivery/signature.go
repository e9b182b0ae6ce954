package delivery

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"time"
)

// What signatures begin with.
const (
	signaturePrefix         = "sha256="
	standardSignaturePrefix = "v1,"
)

// Signature is the value of the signature header: "sha256=" and the hex
// HMAC-SHA256 of the body, keyed with the whole secret.
func Signature(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	var sum [sha256.Size]byte
	out := make([]byte, 0, len(signaturePrefix)+2*sha256.Size)
	out = append(out, signaturePrefix...)
	return string(hex.AppendEncode(out, mac.Sum(sum[:0])))
}

// StandardSignature is the value of webhook-signature: v1 of Standard Webhooks,
// over the event's id, the attempt's time in Unix seconds and the body. A secret
// in that specification's own form is decoded; any other is taken as it is.
func StandardSignature(secret, id string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, standardKey(secret))
	mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
	mac.Write(body)
	return standardSignaturePrefix + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
