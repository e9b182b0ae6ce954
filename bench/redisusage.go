package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// redisTime is the time that Redis's main thread has used.
type redisTime struct {
	all time.Duration
	// scripts is its time in scripts, and commands that in the commands which they call. Redis
	// takes both by the clock.
	scripts, commands time.Duration
}

func (r *rig) redisTime(ctx context.Context) (t redisTime, err error) {
	for _, field := range []string{"used_cpu_user_main_thread", "used_cpu_sys_main_thread"} {
		text, err := r.redisField(ctx, "cpu", field)
		if err != nil {
			return t, err
		}
		seconds, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return t, err
		}
		t.all += time.Duration(seconds * float64(time.Second))
	}
	stats, err := r.redis.Info(ctx, "commandstats").Result()
	if err != nil {
		return t, err
	}
	t.scripts, t.commands = scriptTimes(stats)
	return t, nil
}

// scriptTimes reads INFO commandstats: "cmdstat_evalsha:calls=3,usec=42,…". The few commands
// that clients send themselves count as those of scripts.
func scriptTimes(stats string) (scripts, commands time.Duration) {
	for line := range strings.Lines(stats) {
		name, rest, found := strings.Cut(line, ":")
		_, rest, timed := strings.Cut(rest, ",usec=")
		text, _, _ := strings.Cut(rest, ",")
		micros, err := strconv.ParseInt(text, 10, 64)
		if !found || !timed || err != nil {
			continue
		}
		if strings.HasPrefix(name, "cmdstat_eval") {
			scripts += time.Duration(micros) * time.Microsecond
		} else {
			commands += time.Duration(micros) * time.Microsecond
		}
	}
	return scripts, commands
}

// redisInfo reads a number from Redis's INFO.
func (r *rig) redisInfo(ctx context.Context, field string) (int64, error) {
	text, err := r.redisField(ctx, "default", field)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(text, 10, 64)
}

func (r *rig) redisField(ctx context.Context, section, field string) (string, error) {
	info, err := r.redis.Info(ctx, section).Result()
	if err != nil {
		return "", err
	}
	_, rest, found := strings.Cut(info, "\n"+field+":")
	if !found {
		return "", fmt.Errorf("Redis's INFO has no %s", field)
	}
	text, _, _ := strings.Cut(rest, "\r")
	return text, nil
}
