//go:build chaos && linux

package chaos

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// onEmbedded are the scenarios with a folder.
func onEmbedded() []scenario {
	const store = "embedded"
	return []scenario{
		{name: "the disk is full", store: store, start: embedded, play: fillDisk(5 * time.Second)},
		{name: "the folder is deleted", store: store, start: embedded, play: deleteFolder},
		{name: "reloads", store: store, start: embedded, play: reload(20)},
		{name: fmt.Sprintf("kill -9 of Caddy, %d times", *rounds), store: store, start: embedded, play: killCaddys(*rounds), pace: killPace},
	}
}

// fillDisk lets no file of Caddy's grow, and then lets them grow again: a full disk needs
// no more, and nothing that only root may do.
func fillDisk(d time.Duration) func(s *stage) {
	return func(s *stage) {
		s.some(time.Second, 2*time.Second)
		pid := s.caddys[0].child.PID()
		var before unix.Rlimit
		s.must(unix.Prlimit(pid, unix.RLIMIT_FSIZE, nil, &before))
		s.fault("a full disk", 0, func() {
			s.must(unix.Prlimit(pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 1 << 10, Max: before.Max}, nil))
			s.refused()
			s.unwell()
			time.Sleep(d)
			s.must(unix.Prlimit(pid, unix.RLIMIT_FSIZE, &before, nil))
		})
		s.served()
	}
}

// noticed is how long Caddy may take to notice that its files are gone: it looks once a
// second. What it accepts meanwhile is lost, too.
const noticed = 2 * time.Second

// deleteFolder deletes the store under a running Caddy. What was emitted before is lost, by
// order of the admin. Soon nothing may be accepted any more, until Caddy is started again.
func deleteFolder(s *stage) {
	s.some(time.Second, 2*time.Second)
	s.fault("the folder is deleted", repeats|forgets, func() {
		s.must(os.RemoveAll(s.folder))
		s.forgiven = time.Now().Add(noticed)
		s.refused()
		s.unwell()
		s.caddys[0].kill()
		s.caddys[0].start()
		s.caddys[0].ready()
	})
	s.subscribe()
	s.served()
}
