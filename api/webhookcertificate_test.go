package api_test

import (
	"fmt"
	"strings"
	"testing"
)

// A certificate of a client for a hundred years, and its key.
const (
	clientCert = `-----BEGIN CERTIFICATE-----
MIIBeDCCAR2gAwIBAgIUAkORB0SVFmU30LepQeFP5eGh7dIwCgYIKoZIzj0EAwIw
EDEOMAwGA1UEAwwFY2FkZHkwIBcNMjYxMTMwMDExNTA2WhgPMjEyNjExMDYwMTE1
MDZaMBAxDjAMBgNVBAMMBWNhZGR5MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
9mR4vZtbIt0GFhdpIebCql4tOvkEsmiK/JBjlCvFMowR2U5thUXuip+UqgyLDkiA
xEgRBAjQkGDplENmRq4bd6NTMFEwHQYDVR0OBBYEFA5RD/Y6Z8KtGvVcGvlgGN8l
0Gs/MB8GA1UdIwQYMBaAFA5RD/Y6Z8KtGvVcGvlgGN8l0Gs/MA8GA1UdEwEB/wQF
MAMBAf8wCgYIKoZIzj0EAwIDSQAwRgIhAPT6QUxx+XruCYyi+rdjmehMVKn4+vLq
q09QKH70WDVsAiEA857lLVsUew+AAsUs4JqjCk4hMkzJZ0Dg6OLBXWUb1kc=
-----END CERTIFICATE-----
`
	clientKey = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgWhdOi/x1oARxdg3M
/SVoq8XT8TtvV6HntUWJPVpQTQehRANCAAT2ZHi9m1si3QYWF2kh5sKqXi06+QSy
aIr8kGOUK8UyjBHZTm2FRe6Kn5SqDIsOSIDESBEECNCQYOmUQ2ZGrht3
-----END PRIVATE KEY-----
`
)

// TestClientCertificate gives a webhook a client certificate, and reads what comes out of it.
func TestClientCertificate(t *testing.T) {
	s := audited(t, nil)
	var hook webhook
	s.admin("POST", "api/webhooks", `{"url":"http://127.0.0.1/"}`).want(t, 201, &hook)
	path := "api/webhooks/" + hook.ID
	patch := func(certificate, key string) reply {
		return s.admin("PATCH", path, `{"client_certificate":{"certificate":`+quote(certificate)+`,"private_key":`+quote(key)+`}}`)
	}
	secret := strings.Split(clientKey, "\n")[1]
	got := patch("mine: \n"+clientCert, clientKey)
	got.want(t, 200, &hook)
	if c := hook.ClientCertificate; c["certificate"] != clientCert || !strings.HasPrefix(c["not_after"], "21") || len(c) != 2 {
		t.Errorf("answered is %v", c)
	}
	said := string(got.body) + fmt.Sprint(s.log.All()) + string(s.admin("GET", "api/audit", "").body) + string(s.admin("GET", "api/webhooks", "").body)
	for fields, bad := range map[string][2]string{
		"client_certificate.certificate":  {clientCert + clientKey, clientKey},
		"client_certificate.certificate ": {clientKey, clientKey},
		"client_certificate.private_key":  {clientCert, clientCert},
		"client_certificate.private_key ": {clientCert, strings.Repeat(clientKey, 100)},
	} {
		got := patch(bad[0], bad[1])
		if p := got.wantProblem(t, 422); p.fields() != strings.TrimSpace(fields) {
			t.Errorf("got %+v for %s", p, fields)
		}
		said += string(got.body)
	}
	for _, value := range []string{`{}`, `{"certificate":"x"}`, `"x"`, `{"certificate":null,"private_key":"x"}`, `{"certificate":"x","private_key":"x","x":1}`} {
		s.admin("PATCH", path, `{"client_certificate":`+value+`}`).wantProblem(t, 422)
	}
	if strings.Contains(said, secret) {
		t.Errorf("the key comes out in %s", said)
	}
	hook = webhook{}
	if s.admin("PATCH", path, `{"client_certificate":null}`).want(t, 200, &hook); hook.ClientCertificate != nil {
		t.Errorf("there still is %v", hook.ClientCertificate)
	}
}
