package caddymodule

import (
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func TestCurrentCore(t *testing.T) {
	before, logBefore := observer.New(zapcore.WarnLevel)
	after, logAfter := observer.New(zapcore.InfoLevel)
	core := newCurrentCore(zap.New(before))
	log := zap.New(core).With(zap.String("store", "redis"))
	log.Info("too quiet")
	log.Warn("one")
	core.use(zap.New(after))
	log.Info("two", zap.Int("n", 2))
	if got := logBefore.All(); len(got) != 1 || got[0].Message != "one" {
		t.Errorf("before: got %v", got)
	}
	got := logAfter.All()
	if len(got) != 1 || got[0].Message != "two" || got[0].ContextMap()["store"] != "redis" || got[0].ContextMap()["n"] != int64(2) {
		t.Errorf("after: got %v", got)
	}
}
