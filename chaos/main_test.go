package chaos

import (
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-webhooks/caddy-webhooks/caddymodule"
)

// asCaddy is an environment variable that turns this test program into the Caddy that is
// put to the test. So Caddy needs no build of its own, and has the race detector if the
// tests have it.
const asCaddy = "CHAOS_TEST_AS_CADDY"

// seedEnv names the environment variable with the seed, for runs with other packages, which
// do not know the flag.
const seedEnv = "WEBHOOKS_CHAOS_SEED"

var seed = flag.Uint64("seed", 0, "take the decisions of the run that printed this seed (or "+seedEnv+"); 0: take new ones")

func TestMain(m *testing.M) {
	if os.Getenv(asCaddy) != "" {
		signal.Ignore(syscall.SIGXFSZ) // a disk that is full fails the write, and ends nothing
		caddycmd.Main()
		return
	}
	flag.Parse()
	if *seed == 0 {
		*seed, _ = strconv.ParseUint(os.Getenv(seedEnv), 10, 64) // 0 if it is not set
	}
	if *seed == 0 {
		*seed = 1 + rand.Uint64N(1e9)
	}
	fmt.Printf("seed %d\n", *seed)
	endChildren()
	code := m.Run()
	table.print(os.Stdout)
	os.Exit(code)
}

// decisions is where the decisions come from that are taken under a name. Those of another
// name do not change them.
func decisions(name string) *rand.Rand {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(name)) // never fails
	return rand.New(rand.NewPCG(*seed, hash.Sum64()))
}

// endChildren ends all children when this program is told to end, or is about to be ended
// because it takes too long: then no test cleans up.
func endChildren() {
	const moment = time.Second
	end := func() {
		for _, pid := range children() {
			_ = syscall.Kill(pid, syscall.SIGKILL) // fails if it has ended
		}
	}
	told := make(chan os.Signal, 1)
	signal.Notify(told, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		<-told
		end()
		os.Exit(1)
	}()
	getter, ok := flag.Lookup("test.timeout").Value.(flag.Getter)
	if !ok {
		return
	}
	if timeout, ok := getter.Get().(time.Duration); ok && timeout > moment {
		time.AfterFunc(timeout-moment, end)
	}
}

// children lists the children of this process, on Linux, as in proc(5).
func children() (pids []int) {
	lists, _ := filepath.Glob("/proc/self/task/*/children") // the pattern is a good one
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue // the thread has ended
		}
		for field := range strings.FieldsSeq(string(text)) {
			if pid, err := strconv.Atoi(field); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}
