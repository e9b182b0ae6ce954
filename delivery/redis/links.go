package redis

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// keepAlive has the system notice within 45 s that the machine of an idle connection is gone.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 5 * time.Second, Count: 3}

// links are the open network connections to the nodes of a Cluster. A call to a node that
// hangs ends when its connection is closed.
type links struct {
	tls *tls.Config

	mu   sync.Mutex
	open map[string]map[*link]struct{} // by the address of the node
}

// link is one connection. It has the methods of a TCP connection, by which go-redis checks
// whether one that was idle is still open.
type link struct {
	*net.TCPConn
	of      *links
	address string
}

// Close closes the connection, unless drop has done so.
func (l *link) Close() error {
	if !l.of.remove(l) {
		return nil
	}
	return l.TCPConn.Close()
}

func (l *links) add(conn *link) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		l.open = make(map[string]map[*link]struct{})
	}
	if l.open[conn.address] == nil {
		l.open[conn.address] = make(map[*link]struct{})
	}
	l.open[conn.address][conn] = struct{}{}
}

func (l *links) remove(conn *link) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	node := l.open[conn.address]
	if _, ok := node[conn]; !ok {
		return false
	}
	delete(node, conn)
	if len(node) == 0 {
		delete(l.open, conn.address)
	}
	return true
}

// dial is a dialer of go-redis, which adds no TLS to a dialer that is not its own.
func (l *links) dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: dialTimeout, KeepAliveConfig: keepAlive}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return conn, nil // no network that a node of a Cluster is reached by
	}
	opened := &link{TCPConn: tcp, of: l, address: address}
	l.add(opened)
	if l.tls == nil {
		return opened, nil
	}
	return l.secure(ctx, opened)
}

func (l *links) secure(ctx context.Context, conn *link) (net.Conn, error) {
	config := l.tls.Clone()
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(conn.address)
	}
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = conn.Close() // the error of the handshake says more
		return nil, err
	}
	return secured, nil
}

// drop closes all connections to a node.
func (l *links) drop(address string) {
	l.mu.Lock()
	dropped := l.open[address]
	delete(l.open, address)
	l.mu.Unlock()
	for conn := range dropped {
		_ = conn.TCPConn.Close() // whoever uses it gets an error of its own
	}
}
