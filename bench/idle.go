package main

import (
	"context"
	"fmt"
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
	rate := "none"
	if r.redis != nil {
		rate = fmt.Sprintf("%.2f", float64(after-commands-1)/idleTime.Seconds())
	}
	return []result{
		{"idle: Redis commands a second", rate, "at most 5"},
		{"idle: Caddy's share of a core", fmt.Sprintf("%.2f %%", 100*(cpuAfter-cpu).Seconds()/idleTime.Seconds()), "under 1 %"},
	}, nil
}

// redisCommands counts the commands that clients sent, this question included; 0
// without a Redis.
func (r *rig) redisCommands(ctx context.Context) (int, error) {
	if r.redis == nil {
		return 0, nil
	}
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
