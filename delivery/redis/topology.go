package redis

import (
	"context"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

const (
	// askNext is how long a node has to say who has which slots before another is asked,
	// too.
	askNext = 100 * time.Millisecond
	// While there are errors, and for watchFor after the last one, the topology is read
	// every watchEvery. watchFor is longer than a call to a node that hangs.
	watchEvery = 250 * time.Millisecond
	watchFor   = 15 * time.Second
)

// topology knows which nodes of a Cluster have which slots, for all clients of that Cluster.
//
// go-redis by itself reads the topology once a minute and after a redirection. It asks one
// node after the other, so that a node that hangs keeps it waiting. topology reads it as soon
// as a call fails, and then again and again: a replica may take over any moment. As soon as a
// primary has lost its slots, all connections to it are closed, so that nobody waits for it.
type topology struct {
	links   links
	seeds   []string
	ask     redis.Options // of the client for one question
	clients []*redis.ClusterClient

	reading   sync.Mutex // held while the topology is read
	readAt    time.Time
	slots     []redis.ClusterSlot
	nodes     []string // all addresses that are known
	primaries []string

	mu     sync.Mutex
	prefer string      // the address of the node to ask first, or ""
	until  time.Time   // when to stop watching
	next   *time.Timer // the next look, while watching
	closed bool
}

func newTopology(o *Options) *topology {
	t := &topology{seeds: o.Addresses, nodes: o.Addresses}
	t.links.tls = o.TLS
	t.ask = redis.Options{
		Username: o.Username, Password: o.Password, Dialer: t.links.dial,
		DialTimeout: dialTimeout, ReadTimeout: dialTimeout, WriteTimeout: dialTimeout,
		ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1, DisableIdentity: true,
		PoolSize: 1, PipelinePoolSize: -1, MaintNotificationsConfig: noMaintenance(),
	}
	return t
}

// client makes a client that finds the nodes by this topology.
func (t *topology) client(u *redis.UniversalOptions) *redis.ClusterClient {
	o := u.Cluster()
	o.Dialer = t.links.dial
	o.ClusterSlots = t.read
	o.NewClient = func(o *redis.Options) *redis.Client {
		if o.NodeAddress != "" {
			o.Addr = o.NodeAddress // go-redis has left out the host if it is this machine
		}
		return redis.NewClient(o)
	}
	c := redis.NewClusterClient(o)
	t.clients = append(t.clients, c)
	return c
}

// watch has the topology read, now and for a while.
func (t *topology) watch() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.until = time.Now().Add(watchFor)
	if t.next == nil && !t.closed {
		t.next = time.AfterFunc(0, t.look)
	}
}

func (t *topology) look() {
	for _, c := range t.clients {
		c.ReloadState(context.Background()) // in the background
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next = nil
	if !t.closed && time.Now().Before(t.until) {
		t.next = time.AfterFunc(watchEvery, t.look)
	}
}

func (t *topology) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	if t.next != nil {
		t.next.Stop()
	}
}

// follow has the topology read before it returns. A node has said that a slot is at the given
// address: the node there knows best.
func (t *topology) follow(ctx context.Context, address string) {
	t.mu.Lock()
	t.prefer = address
	t.mu.Unlock()
	for _, c := range t.clients {
		// Only this has go-redis read the topology at once.
		_ = c.ForEachMaster(ctx, func(context.Context, *redis.Client) error { return nil })
	}
}

// read asks the nodes who has which slots. Those who call it meanwhile get the same answer.
func (t *topology) read(ctx context.Context) ([]redis.ClusterSlot, error) {
	asked := time.Now()
	t.reading.Lock()
	defer t.reading.Unlock()
	if t.readAt.After(asked) {
		return t.slots, nil
	}
	slots, err := t.askNodes(ctx, t.inOrder())
	if err != nil {
		return nil, err
	}
	var nodes, primaries []string
	for _, slot := range slots {
		for i, node := range slot.Nodes {
			nodes = append(nodes, node.Addr)
			if i == 0 {
				primaries = append(primaries, node.Addr)
			}
		}
	}
	for _, old := range t.primaries {
		if !slices.Contains(primaries, old) {
			t.links.drop(old)
		}
	}
	t.readAt, t.slots, t.nodes, t.primaries = time.Now(), slots, nodes, primaries
	return slots, nil
}

// inOrder lists the nodes in the order in which they are asked. Those that the configuration
// names take turns with those that are known: all of these may have other addresses by now.
func (t *topology) inOrder() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := slices.Clone(t.nodes)
	rand.Shuffle(len(known), func(i, j int) { known[i], known[j] = known[j], known[i] })
	var all []string
	add := func(node string) {
		if node != "" && !slices.Contains(all, node) {
			all = append(all, node)
		}
	}
	add(t.prefer)
	t.prefer = ""
	for i := range max(len(known), len(t.seeds)) {
		for _, list := range [][]string{known, t.seeds} {
			if i < len(list) {
				add(list[i])
			}
		}
	}
	return all
}

// said is what a node says.
type said struct {
	slots []redis.ClusterSlot
	well  bool // whether the node is in touch with most primaries
	err   error
}

// askNodes asks one node after the other, without waiting long for any, until one answers
// that is in touch with most primaries. If none is, any answer will do.
func (t *topology) askNodes(ctx context.Context, nodes []string) ([]redis.ClusterSlot, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	answers := make(chan said, len(nodes))
	var asking sync.WaitGroup
	var asked []*redis.Client
	defer func() {
		cancel()
		for _, client := range asked {
			_ = client.Close() // ends a question that has not been answered
		}
		asking.Wait()
	}()
	ticker := time.NewTicker(askNext)
	defer ticker.Stop()
	var best said
	for left := len(nodes); left > 0; {
		if n := len(asked); n < len(nodes) {
			options := t.ask
			options.Addr = nodes[n]
			client := redis.NewClient(&options)
			asked = append(asked, client)
			asking.Go(func() { answers <- askNode(ctx, client, nodes[n]) })
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			left = 0
		case answer := <-answers:
			left--
			if answer.well {
				return answer.slots, nil
			}
			if answer.slots != nil || best.err == nil && best.slots == nil {
				best = answer
			}
		}
	}
	if best.slots == nil && best.err == nil {
		best.err = ctx.Err()
	}
	return best.slots, best.err
}

func askNode(ctx context.Context, client *redis.Client, address string) said {
	pipe := client.Pipeline()
	slots := pipe.ClusterSlots(ctx)
	info := pipe.ClusterInfo(ctx)
	_, _ = pipe.Exec(ctx) // each command has its own error
	answer := said{slots: slots.Val(), err: slots.Err()}
	if answer.err == nil && len(answer.slots) == 0 {
		answer = said{err: delivery.Reason("a node of the Redis Cluster knows of no slots")}
	}
	if answer.err != nil {
		return answer
	}
	// Whoever may not ask for the state has to believe every node.
	answer.well = info.Err() != nil || strings.Contains(info.Val(), "cluster_state:ok")
	for _, slot := range answer.slots {
		for i := range slot.Nodes {
			slot.Nodes[i].Addr = reachable(slot.Nodes[i].Addr, address)
		}
	}
	return answer
}

// reachable is the address of a node, as another one at a known address tells it. A node may
// not know its own host or port, or tell those of its own machine.
func reachable(told, from string) string {
	host, port, err := net.SplitHostPort(told)
	if err != nil {
		return told
	}
	fromHost, fromPort, _ := net.SplitHostPort(from)
	if host == "" || isLoopback(host) && !isLoopback(fromHost) {
		host = fromHost
	}
	if port == "0" {
		port = fromPort
	}
	return net.JoinHostPort(host, port)
}

func isLoopback(host string) bool {
	return host == "localhost" || strings.HasSuffix(host, ".docker.internal") || net.ParseIP(host).IsLoopback()
}
