package main

import "slices"

// figures are what was measured in a workload with a store, by name.
type figures map[figure]float64

// figure is the name of a measured number, in the table and in JSON.
type figure string

const (
	rate        figure = "deliveries/s"
	slowest     figure = "slowest stretch, /s"
	fastest     figure = "fastest stretch, /s"
	bareRate    figure = "B before and after, /s"
	toBare      figure = "ratio to B"
	failureRate figure = "failures/s"
	retriesRate figure = "retries due, /s"

	p50       figure = "p50, ms"
	p99       figure = "p99, ms"
	p999      figure = "p99.9, ms"
	bareP50   figure = "bare POST p50, ms"
	bareP99   figure = "bare POST p99, ms"
	bareP999  figure = "bare POST p99.9, ms"
	aloneP50  figure = "without hanging p50, ms"
	aloneP99  figure = "without hanging p99, ms"
	aloneP999 figure = "without hanging p99.9, ms"

	cpuBench    figure = "CPU of bench, s per 1,000"
	cpuCaddy    figure = "CPU of Caddy, s per 1,000"
	cpuRedis    figure = "CPU of Redis, s per 1,000"
	cpuThread   figure = "CPU of Redis's thread, s per 1,000"
	cpuScripts  figure = "CPU of Redis's thread, Lua, s per 1,000"
	cpuCommands figure = "CPU of Redis's thread, commands of scripts, s per 1,000"
	allocated   figure = "allocated in Caddy, bytes each"

	storedMemory figure = "stored in Redis's memory, bytes each"
	storedDisk   figure = "stored on disk, bytes each"

	pendingCaddy figure = "pending in Caddy, bytes each"
	pendingRedis figure = "pending in Redis, bytes each"
	peakCaddy    figure = "peak memory of Caddy, MB"
	peakRedis    figure = "peak memory of Redis, MB"

	serving     figure = "serving after, s"
	sending     figure = "sending after, s"
	share       figure = "CPU of Caddy, %"
	commandRate figure = "Redis commands/s"
)

// order is the order of figures in the table.
var order = slices.Concat([]figure{
	rate, slowest, fastest, bareRate, toBare, failureRate, retriesRate,
	p50, p99, p999, bareP50, bareP99, bareP999, aloneP50, aloneP99, aloneP999,
	cpuBench, cpuCaddy, cpuRedis, cpuThread, cpuScripts, cpuCommands, allocated,
}, partNames(), []figure{
	storedMemory, storedDisk,
	pendingCaddy, pendingRedis, peakCaddy, peakRedis,
	serving, sending, share, commandRate,
})
