package chaos

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// proxy is a network between a server and its clients, which a test can disturb.
type proxy struct {
	addr     string
	target   string
	listener net.Listener
	running  sync.WaitGroup

	mu     sync.Mutex
	links  map[*link]struct{}
	random *rand.Rand
	way    weather
	closed bool
}

// weather is what the network does to those who use it.
type weather struct {
	// cutOff says whose connections are broken, and refused; nil: nobody's.
	cutOff func(client net.Addr) bool
	// delay is added to each answer.
	delay time.Duration
	// loss is how probably an answer is lost. Then its connection breaks.
	loss float64
	// mute loses all answers, and connections stay.
	mute bool
}

// link is one connection with what it is connected to.
type link struct{ client, server net.Conn }

func (l *link) close() {
	_ = l.client.Close() // it is broken either way
	_ = l.server.Close()
}

// startProxy starts a proxy to a server, which ends with the test. Which answers it loses
// is decided under a name.
func startProxy(t *testing.T, target, name string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{
		addr: listener.Addr().String(), target: target, listener: listener,
		links: make(map[*link]struct{}), random: decisions(name),
	}
	p.running.Go(p.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		p.cut(everybody)
		p.running.Wait()
	})
	return p
}

func everybody(net.Addr) bool { return true }

// become changes the weather, and breaks the connections of those who are cut off.
func (p *proxy) become(w weather) {
	p.mu.Lock()
	p.way = w
	p.mu.Unlock()
	if w.cutOff != nil {
		p.cut(w.cutOff)
	}
}

// cut breaks connections.
func (p *proxy) cut(whose func(net.Addr) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		if whose(l.client.RemoteAddr()) {
			l.close()
		}
	}
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		if cutOff := p.weather().cutOff; cutOff != nil && cutOff(client.RemoteAddr()) {
			_ = client.Close()
			continue
		}
		server, err := net.DialTimeout("tcp", p.target, time.Second)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.carry(&link{client, server})
	}
}

func (p *proxy) weather() weather {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.way
}

// carry takes bytes to and fro until either side is closed.
func (p *proxy) carry(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		l.close()
		return
	}
	p.links[l] = struct{}{}
	end := func() {
		l.close()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.links, l)
	}
	p.running.Go(func() {
		defer end()
		_, _ = io.Copy(l.server, l.client) // ends with the connection
	})
	p.running.Go(func() {
		defer end()
		p.answers(l)
	})
}

// answers takes answers back, as the weather lets them.
func (p *proxy) answers(l *link) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := l.server.Read(buffer)
		if err != nil {
			return
		}
		w := p.weather()
		if w.mute {
			continue
		}
		if w.loss > 0 && p.chance() < w.loss {
			return
		}
		time.Sleep(w.delay)
		if _, err := l.client.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func (p *proxy) chance() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.random.Float64()
}
