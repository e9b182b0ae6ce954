package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// settleTime is how long after its last work Caddy counts as idle.
const settleTime = 3 * time.Second

// measureIdle measures Z: what an idle Caddy does.
func measureIdle(ctx context.Context, r *rig) (figures, error) {
	if err := r.subscribe(ctx, oneTenant, r.sink.url+okPath, eventType); err != nil {
		return nil, err
	}
	if err := r.emitOne(ctx, 0, r.sink.take(1)); err != nil {
		return nil, err
	}
	if !pause(ctx, settleTime) {
		return nil, ctx.Err()
	}
	idle := 3 * r.time
	counted := func() (int, error) { return 0, nil }
	if r.redis != nil {
		var err error
		if counted, err = countCommands(ctx, r.redis); err != nil {
			return nil, err
		}
	}
	before, err := cpuTime(r.caddy.PID())
	if err != nil {
		return nil, err
	}
	if !pause(ctx, idle) {
		return nil, ctx.Err()
	}
	after, err := cpuTime(r.caddy.PID())
	if err != nil {
		return nil, err
	}
	commands, err := counted()
	f := figures{share: 100 * (after - before).Seconds() / idle.Seconds()}
	if r.redis != nil {
		f[commandRate] = float64(commands) / idle.Seconds()
	}
	return f, err
}

// countCommands counts the commands that clients send to Redis until counted is called.
// The commands of scripts, which MONITOR marks as lua's, do not count.
func countCommands(ctx context.Context, client *redis.Client) (counted func() (int, error), err error) {
	conn, err := net.Dial("tcp", client.Options().Addr)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write([]byte("MONITOR\r\n")); err != nil {
		conn.Close()
		return nil, err
	}
	lines := bufio.NewScanner(conn)
	lines.Scan() // the answer to MONITOR, after which all commands are seen
	return func() (int, error) {
		defer conn.Close()
		end := rand.Text()
		if err := client.Echo(ctx, end).Err(); err != nil {
			return 0, err
		}
		count := 0
		for lines.Scan() {
			switch line := lines.Text(); {
			case strings.Contains(line, end):
				return count, nil
			case !strings.Contains(line, " lua] "):
				count++
			}
		}
		return 0, cmp.Or(lines.Err(), errors.New("Redis ended MONITOR"))
	}, nil
}
