package clockstep_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/clockstep"
)

// TestNotice checks that a step is logged once, however many notice it.
func TestNotice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, lines := observer.New(zapcore.DebugLevel)
		n := clockstep.Notice{Log: zap.New(core), Whose: "the clock"}
		want := func(when, text string) {
			t.Helper()
			said := lines.TakeAll()
			if text == "" && len(said) == 0 {
				return
			}
			if len(said) != 1 || said[0].Level != zapcore.WarnLevel || !strings.HasPrefix(said[0].Message, text) {
				t.Errorf("%s the log says %v, want %q", when, said, text)
			}
		}
		n.Tell(-4 * time.Second)
		n.Tell(4 * time.Second)
		want("after small steps", "")
		n.Tell(-2 * time.Hour)
		n.Tell(-2 * time.Hour)
		want("after one back", "the clock was set back")
		time.Sleep(2 * time.Minute)
		n.Tell(2 * time.Hour)
		want("later, after one forward", "the clock was set forward")
	})
}
