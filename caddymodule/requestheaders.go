package caddymodule

import (
	"net/http"
	"strings"
)

// hasMeaningInRequests says whether a header already means something in a request:
// to HTTP, to the client or server that handles it, or to a proxy on the way.
func hasMeaningInRequests(name string) bool {
	name = http.CanonicalHeaderKey(name)
	if requestHeaders[name] {
		return true
	}
	for _, prefix := range requestHeaderPrefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// requestHeaderPrefixes begin the names of families of such headers. Webhook- is
// the family of Standard Webhooks, which requests carry themselves.
var requestHeaderPrefixes = []string{
	"Accept-", "Access-Control-", "Content-", "If-", "Proxy-", "Sec-", "Want-", "Webhook-",
}

// requestHeaders are the names that IANA's registry of HTTP field names
// (https://www.iana.org/assignments/http-fields) lists for requests and that no
// prefix covers. After the empty line come names that are in wide use without
// being registered.
var requestHeaders = canonicalHeaders(`
	A-IM Accept ALPN Alt-Used AMP-Cache-Transform Apply-To-Redirect-Ref Authorization
	Available-Dictionary Cache-Control Cal-Managed-ID CalDAV-Timezones Capsule-Protocol
	CDN-Loop Client-Cert Client-Cert-Chain Close CMCD-Object CMCD-Request CMCD-Session
	CMCD-Status Concealed-Auth-Export Configuration-Context Connection Cookie Cookie2
	CTA-Common-Access-Token Date DAV Depth Destination Detached-JWS Dictionary-ID Digest
	DPoP Early-Data EDIINT-Features Expect Forwarded From Hobareg Host HTTP2-Settings If
	Isolation Keep-Alive Label Last-Event-ID Link Lock-Token Max-Forwards Meter
	MIME-Version Negotiate OData-EntityId OData-Isolation OData-MaxVersion OData-Version
	Ordering-Type Origin OSCORE OSLC-Core-Version Overwrite Ping-From Ping-To Position
	Pragma Prefer Priority Range Redirect-Ref Referer Referer-Root Repeatability-Client-ID
	Repeatability-First-Sent Repeatability-Request-ID Repr-Digest Schedule-Reply Signature
	Signature-Input SLUG SoapAction Surrogate-Capability TE Timeout Topic Traceparent
	Tracestate Trailer Transfer-Encoding TTL Upgrade Urgency User-Agent Via Warning

	Baggage CF-Connecting-IP DNT Fastly-Client-IP Idempotency-Key Purpose Save-Data
	True-Client-IP Upgrade-Insecure-Requests X-Client-IP X-Cluster-Client-IP
	X-Correlation-ID X-CSRF-Token X-Forwarded-By X-Forwarded-For X-Forwarded-Host
	X-Forwarded-Method X-Forwarded-Path X-Forwarded-Port X-Forwarded-Prefix
	X-Forwarded-Proto X-Forwarded-Protocol X-Forwarded-Scheme X-Forwarded-Server
	X-Forwarded-SSL X-Forwarded-URI X-HTTP-Method X-HTTP-Method-Override
	X-Method-Override X-Original-Host X-Original-Method X-Original-URI X-Original-URL
	X-Real-IP X-Request-ID X-Requested-With X-Rewrite-URL
`)

func canonicalHeaders(names string) map[string]bool {
	headers := make(map[string]bool)
	for name := range strings.FieldsSeq(names) {
		headers[http.CanonicalHeaderKey(name)] = true
	}
	return headers
}
