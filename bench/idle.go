package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const idleTime = 30 * time.Second

// measureIdle counts what happens when nothing does.
func measureIdle(ctx context.Context, r *rig) ([]result, error) {
	if err := r.subscribe(ctx, "/ok"); err != nil {
		return nil, err
	}
	if err := r.post(ctx, "/events", event(time.Now())); err != nil {
		return nil, err
	}
	if !pause(ctx, 3*time.Second) {
		return nil, ctx.Err()
	}
	commands, err := r.redisCommands(ctx)
	if err != nil {
		return nil, err
	}
	cpu, err := cpuTime(r.caddy.PID())
	if err != nil {
		return nil, err
	}
	if !pause(ctx, idleTime) {
		return nil, ctx.Err()
	}
	cpuAfter, err := cpuTime(r.caddy.PID())
	if err != nil {
		return nil, err
	}
	after, err := r.redisCommands(ctx)
	if err != nil {
		return nil, err
	}
	return []result{
		{"idle: Redis commands a second", fmt.Sprintf("%.2f", float64(after-commands-1)/idleTime.Seconds()), "at most 5"},
		{"idle: Caddy's share of a core", fmt.Sprintf("%.2f %%", 100*(cpuAfter-cpu).Seconds()/idleTime.Seconds()), "under 1 %"},
	}, nil
}

// redisCommands counts the commands that clients sent, this question included.
func (r *rig) redisCommands(ctx context.Context) (int, error) {
	info, err := r.redis.Info(ctx, "commandstats").Result()
	if err != nil {
		return 0, err
	}
	// Commands that scripts call are counted too, but not as clients send them:
	// EVALSHA is what counts.
	total := 0
	for _, name := range []string{"evalsha", "eval", "ping", "info", "hget", "hgetall", "get", "hmget", "config|get"} {
		if _, rest, ok := strings.Cut(info, "cmdstat_"+name+":calls="); ok {
			n, _, _ := strings.Cut(rest, ",")
			calls, err := strconv.Atoi(n)
			if err != nil {
				return 0, err
			}
			total += calls
		}
	}
	return total, nil
}

// cpuTime of a process, from proc(5).
func cpuTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("CPU time is measured on Linux only: %w", err)
	}
	// The name, in parentheses, may contain anything; utime and stime are the
	// 12th and 13th fields after it, in hundredths of a second.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var ticks int64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

func merge(a, b []time.Duration) []time.Duration {
	all := append(a, b...)
	slices.Sort(all)
	return all
}

func pair(sorted []time.Duration) string {
	return fmt.Sprintf("%s, %s", short(percentile(sorted, 0.5)), short(percentile(sorted, 0.99)))
}

func triple(sorted []time.Duration) string {
	return fmt.Sprintf("%s, %s", pair(sorted), short(percentile(sorted, 1)))
}

func short(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
