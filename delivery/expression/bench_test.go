package expression

import (
	"context"
	"syscall"
	"testing"
	"time"
)

const (
	usualFilter    = `data.severity >= 3 && data.site.name.startsWith("eu-") && event_type != "alert_resolved"`
	usualTransform = `{"text": "Alert " + data.alert_id + " at " + data.site.name, "severity": data.severity}`
)

func usualEvent() Event {
	return Event{
		Type: "alert_active", ID: "0190b6f0-0000-7000-8000-000000000001", Tenant: "default", OccurredAt: time.Now(),
		Data: []byte(`{"alert_id":"a-1042","severity":3,"site":{"name":"eu-west-1","lat":48.2,"lon":16.37},"device":{"id":"d-77","model":"LVL-9","firmware":"2.14.3","tags":["roof","north"]},"value":71.4,"unit":"C","threshold":70,"since":"2026-11-29T10:00:00Z"}`),
	}
}

func benchmark(b *testing.B, kind Kind, source string, evaluate func(*Program, *Input) error) {
	p, err := Compile(kind, source)
	if err != nil {
		b.Fatal(err)
	}
	event := usualEvent()
	measure(b, func() {
		if err := evaluate(p, NewInput(event)); err != nil {
			b.Fatal(err)
		}
	})
}

func BenchmarkFilter(b *testing.B) {
	benchmark(b, Filter, usualFilter, func(p *Program, in *Input) error {
		_, _, err := p.Bool(context.Background(), in)
		return err
	})
}

func BenchmarkOrderBy(b *testing.B) {
	benchmark(b, OrderBy, "data.device.id", func(p *Program, in *Input) error {
		_, _, err := p.Text(context.Background(), in)
		return err
	})
}

func BenchmarkTransform(b *testing.B) {
	benchmark(b, Transform, usualTransform, func(p *Program, in *Input) error {
		_, err := p.JSON(context.Background(), in)
		return err
	})
}

func BenchmarkCompile(b *testing.B) {
	measure(b, func() {
		if _, err := Compile(Filter, usualFilter); err != nil {
			b.Fatal(err)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	data := usualEvent().Data
	measure(b, func() {
		if _, err := decodeData(data); err != nil {
			b.Fatal(err)
		}
	})
}

// processorTime is what this process has taken of the processor.
func processorTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// measure runs a benchmark and reports what it takes of the processor, which others use, too.
func measure(b *testing.B, one func()) {
	b.ReportAllocs()
	before := processorTime()
	for b.Loop() {
		one()
	}
	b.ReportMetric(float64(processorTime()-before)/float64(b.N), "cpu-ns/op")
}
