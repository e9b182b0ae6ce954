package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// presence notices when the open files are no longer at their paths, since somebody has
// deleted, moved or replaced them: what is written to them then is lost at the next start.
type presence struct {
	mu     sync.Mutex
	files  map[string]os.FileInfo // by their paths
	looked time.Time
	err    error // what was found then
}

// presenceEvery is how often writes look.
const presenceEvery = time.Second

// watch remembers which files are open.
func (p *presence) watch(files ...*os.File) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.files, p.err, p.looked = make(map[string]os.FileInfo), nil, time.Time{}
	for _, f := range files {
		info, err := f.Stat()
		if err != nil {
			return err
		}
		p.files[f.Name()] = info
	}
	return nil
}

// check returns an error if a file is gone. It looks if it has not done so for a while.
func (p *presence) check(every time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.Sub(p.looked) >= every {
		p.looked, p.err = now, p.look()
	}
	return p.err
}

func (p *presence) look() error {
	for path, open := range p.files {
		there, err := os.Stat(path)
		gone := errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
		if gone || err == nil && !os.SameFile(there, open) {
			return fmt.Errorf("%w: %w: %s", delivery.ErrUnavailable, delivery.Reason("somebody deleted, moved or replaced a file that Caddy has open: "+
				"put it back, or restart Caddy to use what is there now"), path)
		}
	}
	return nil
}
