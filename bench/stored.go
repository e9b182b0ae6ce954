package main

import (
	"context"
	"io/fs"
	"path/filepath"
)

// storedEvents are enough for the steps in which files and tables grow to make little of it.
const storedEvents = 200_000

// measureStored measures S: how much of the store an event takes that was delivered once.
func measureStored(ctx context.Context, r *rig) (figures, error) {
	before, err := r.stored(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.subscribe(ctx, oneTenant, r.sink.url+okPath, eventType); err != nil {
		return nil, err
	}
	e := newEmission(r, 1)
	err = each(ctx, pilePosts, storedEvents/eventsPerCall, func(ctx context.Context, _ int) error {
		first, ok := e.take(ctx, eventsPerCall)
		if !ok {
			return ctx.Err()
		}
		return r.emit(ctx, oneTenant, appendEvents(nil, first, eventsPerCall, eventType))
	})
	if err != nil {
		return nil, err
	}
	if err := e.finish(ctx); err != nil {
		return nil, err
	}
	after, err := r.stored(ctx)
	if err != nil {
		return nil, err
	}
	f := figures{storedDisk: (after.disk - before.disk) / storedEvents}
	if r.redis != nil {
		f[storedMemory] = (after.memory - before.memory) / storedEvents
	}
	return f, nil
}

// stored is how much the store takes, in bytes. Redis's file was just rewritten: until the
// next time it grows to twice that.
type stored struct{ memory, disk float64 }

func (r *rig) stored(ctx context.Context) (s stored, err error) {
	if r.redis == nil {
		return s, filepath.WalkDir(filepath.Join(r.dir, "store"), func(_ string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			info, err := entry.Info()
			if err == nil {
				s.disk += float64(info.Size())
			}
			return err
		})
	}
	if err := r.quiet(ctx); err != nil {
		return s, err
	}
	if err := r.redis.BgRewriteAOF(ctx).Err(); err != nil {
		return s, err
	}
	if err := r.quiet(ctx); err != nil {
		return s, err
	}
	used, err := r.redisInfo(ctx, "used_memory")
	if err != nil {
		return s, err
	}
	size, err := r.redisInfo(ctx, "aof_current_size")
	return stored{float64(used), float64(size)}, err
}
