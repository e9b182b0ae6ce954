package redis

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
	"github.com/caddy-webhooks/caddy-webhooks/internal/process"
)

// TestCluster runs the suite on a Cluster: a script that touched keys of two
// slots would be refused.
func TestCluster(t *testing.T) {
	t.Parallel()
	var addresses []string
	for _, node := range redistest.StartCluster(t, 3) {
		addresses = append(addresses, node.Addr)
	}
	opened := func(t *testing.T, partitions int) *Store {
		o := options()
		o.Addresses, o.Partitions = addresses, partitions
		return open(t, o)
	}
	storetest.RunVariant(t, 1, func(t *testing.T) delivery.Store { return opened(t, 3) })
	if n := len(*opened(t, 0).partitions.Load()); n != defaultClusterPartitions {
		t.Errorf("%d partitions, want %d", n, defaultClusterPartitions)
	}
}

// TestReshard moves a partition from one node of a Cluster to another, key by key. While it
// moves, everything is refused, rather than done on a node that has only a part of the
// keys, and nothing that was accepted before is lost.
func TestReshard(t *testing.T) {
	nodes := redistest.StartCluster(t, 2)
	o := options()
	o.Addresses, o.Partitions = []string{nodes[0].Addr, nodes[1].Addr}, 1
	s := open(t, o)
	w := addWebhook(t, s, testTenant)
	call, delivered := newCall(s, w, 10, 10, false), newCall(s, w, 1, 10, true)
	mustAccept(t, s, call)
	accepted := mustAccept(t, s, delivered)
	done := success(s, w, &delivered.Events[0], &accepted)
	if err := errors.Join(s.Complete(t.Context(), []delivery.Outcome{done})...); err != nil {
		t.Fatal(err)
	}

	p, err := s.at(testTenant)
	if err != nil {
		t.Fatal(err)
	}
	steps := 0
	redistest.MoveSlot(t, nodes[0], nodes[1], p.base, func() {
		steps++
		wantError(t, "Accept", accept(s, newCall(s, w, 1, 10, false)).Err, delivery.ErrUnavailable)
		o := success(s, w, &call.Events[0], &accepted)
		wantError(t, "Complete", errors.Join(s.Complete(t.Context(), []delivery.Outcome{o})...), delivery.ErrUnavailable)
		_, err := s.Claim(t.Context(), 0, delivery.Room{Fast: 10, Slow: 10, PerWebhook: 10, Lease: testLease})
		wantError(t, "Claim", err, delivery.ErrUnavailable)
	})
	if steps < 10 {
		t.Errorf("the partition was moved in %d steps", steps)
	}

	eventually(t, "all is served by the other node", func() error {
		return accept(s, newCall(s, w, 1, 10, false)).Err
	})
	for i := range call.Events {
		if _, _, err := s.Event(t.Context(), testTenant, call.Events[i].ID); err != nil {
			t.Errorf("an event that was accepted before: %v", err)
		}
	}
	if _, err := s.Request(t.Context(), testTenant, done.Request.ID); err != nil {
		t.Errorf("a request that was logged before: %v", err)
	}
	if err := countJobs(claim(t, s), len(call.Events)+1); err != nil {
		t.Error(err)
	}
}

// TestSentinel runs the suite on a master that a Sentinel names, and continues after the
// replica has taken over.
func TestSentinel(t *testing.T) {
	sentinel, master, _ := redistest.StartSentinel(t)
	o := options()
	o.Addresses, o.SentinelMaster = []string{sentinel.Addr}, redistest.MasterName
	storetest.RunVariant(t, 2, func(t *testing.T) delivery.Store {
		o := o
		o.KeyPrefix = options().KeyPrefix
		return open(t, o)
	})

	s := open(t, o)
	w := addWebhook(t, s, testTenant)
	if n, err := s.client().Do(t.Context(), "WAIT", 1, 4000).Int(); err != nil || n != 1 {
		t.Fatalf("%d replicas have the webhook, %v", n, err)
	}
	redistest.Alert(t, sentinel)
	master.Kill()
	eventually(t, "the replica has taken over", func() error {
		return accept(s, newCall(s, w, 1, 10, false)).Err
	})
	if jobs := claim(t, s); len(jobs) == 0 || jobs[0].Webhook.ID != w.ID {
		t.Errorf("claimed %v from the new master", jobs)
	}
}

func TestTLS(t *testing.T) {
	certificate, key, roots := selfSigned(t)
	address, err := process.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(address)
	redistest.Start(t, "--tls-port", port, "--tls-cert-file", certificate, "--tls-key-file", key, "--tls-auth-clients", "no", "--requirepass", "hush")

	o := options()
	o.Addresses, o.Password = []string{address}, "hush"
	o.TLS = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	s := open(t, o)
	mustAccept(t, s, newCall(s, addWebhook(t, s, testTenant), 1, 10, false))

	o.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	stranger := New(o)
	defer stranger.Close()
	if err := stranger.Open(t.Context()); err == nil {
		t.Error("a certificate of an unknown authority was trusted")
	}
}

// TestClusterTLS uses a node that does not know its own host.
func TestClusterTLS(t *testing.T) {
	certificate, key, roots := selfSigned(t)
	address, err := process.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	bus, err := process.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(address)
	_, busPort, _ := net.SplitHostPort(bus)
	node := redistest.Start(t, "--cluster-enabled", "yes", "--cluster-port", busPort, "--tls-cluster", "yes", "--tls-ca-cert-file", certificate,
		"--tls-port", port, "--tls-cert-file", certificate, "--tls-key-file", key, "--tls-auth-clients", "no")
	root := asRoot(t, node)
	if err := root.ClusterAddSlotsRange(t.Context(), 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the node has the slots", func() error { return root.Set(t.Context(), "x", "", 0).Err() })

	o := options()
	o.Addresses = []string{address, net.JoinHostPort("localhost", port)} // several make a Cluster
	o.TLS = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	s := open(t, o)
	mustAccept(t, s, newCall(s, addWebhook(t, s, testTenant), 1, 10, false))
}

func TestReachable(t *testing.T) {
	for _, test := range []struct{ told, from, want string }{
		{"10.0.0.2:6379", "10.0.0.1:6379", "10.0.0.2:6379"},
		{"redis-2:6379", "redis-1:6379", "redis-2:6379"},
		{"127.0.0.1:7002", "127.0.0.1:7001", "127.0.0.1:7002"},
		{"127.0.0.1:7002", "redis.example.com:7001", "redis.example.com:7002"},
		{"127.0.0.1:7002", "host.docker.internal:7001", "127.0.0.1:7002"},
		{":7002", "10.0.0.1:7001", "10.0.0.1:7002"},
		{"10.0.0.2:0", "10.0.0.1:6380", "10.0.0.2:6380"},
		{"[::1]:7002", "[2001:db8::1]:7001", "[2001:db8::1]:7002"},
	} {
		if got := reachable(test.told, test.from); got != test.want {
			t.Errorf("%s, as %s tells it: %s, want %s", test.told, test.from, got, test.want)
		}
	}
}

// selfSigned writes a certificate for 127.0.0.1 and its key to files.
func selfSigned(t *testing.T) (certificate, key string, roots *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	rawKey, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, bytes []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	parsed, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	roots.AddCert(parsed)
	return write("cert.pem", "CERTIFICATE", raw), write("key.pem", "PRIVATE KEY", rawKey), roots
}
