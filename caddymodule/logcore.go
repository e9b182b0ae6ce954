package caddymodule

import (
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// currentCore writes to the log of the configuration that was started last. A
// store lives longer than the configuration that made it, whose log may be
// closed by then.
type currentCore struct {
	current *atomic.Pointer[zapcore.Core]
	fields  []zapcore.Field
}

func newCurrentCore(log *zap.Logger) *currentCore {
	c := &currentCore{current: new(atomic.Pointer[zapcore.Core])}
	c.use(log)
	return c
}

// use makes the logger the current one, also of the loggers made by With.
func (c *currentCore) use(log *zap.Logger) {
	core := log.Core()
	c.current.Store(&core)
}

func (c *currentCore) core() zapcore.Core { return *c.current.Load() }

func (c *currentCore) Enabled(level zapcore.Level) bool { return c.core().Enabled(level) }

func (c *currentCore) With(fields []zapcore.Field) zapcore.Core {
	all := make([]zapcore.Field, 0, len(c.fields)+len(fields))
	return &currentCore{current: c.current, fields: append(append(all, c.fields...), fields...)}
}

func (c *currentCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	core := c.core()
	if len(c.fields) > 0 {
		core = core.With(c.fields)
	}
	return core.Check(entry, checked)
}

func (c *currentCore) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	return c.core().With(c.fields).Write(entry, fields)
}

func (c *currentCore) Sync() error { return c.core().Sync() }

// Interface guard
var _ zapcore.Core = (*currentCore)(nil)
