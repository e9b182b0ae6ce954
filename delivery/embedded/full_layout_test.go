//go:build unix

package embedded

import (
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// TestFullLayout2 opens a file of layout 2 on a full disk: while the file says that it has this
// layout, an earlier version can read what is written.
func TestFullLayout2(t *testing.T) { inOwnProcess(t, testFullLayout2) }

func testFullLayout2(t *testing.T) {
	folder := layout2(t)
	s := New(folder)
	var err error
	if s.db, _, err = s.openFile(); err != nil {
		t.Fatal(err)
	}
	lift := limitFiles(t, 0)
	err = s.raiseLayout()
	lift()
	if err != nil || !s.single {
		t.Fatalf("on a full disk: %v, one record an entry: %t", err, s.single)
	}
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, folder)
	checkpoint(t, s)
	if err := s.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(metaBucket).Put(schemaKey, number4(2)) }); err != nil {
		t.Fatal(err)
	}
	s.single = true
	load := storetest.Load{Store: s}
	load.Begin(t)
	deliver := func() (entries int) {
		calls, accepted := load.Accept(t, 100, true)
		load.Complete(t, calls, accepted)
		if err := s.read(func(v *view) error {
			for _, name := range [][]byte{idsBucket, deliveriesBucket, logBucket} {
				c := v.bucket(name).cursor()
				for k, _ := c.First(); k != nil; k, _ = c.Next() {
					entries++
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return entries
	}
	layout := func() (layout byte) {
		if err := s.db.View(func(tx *bolt.Tx) error {
			layout = tx.Bucket(metaBucket).Get(schemaKey)[3]
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return layout
	}
	before := deliver()
	if n := deliver() - before; n != 400 || layout() != 2 {
		t.Errorf("400 records have %d entries in a file of layout %d", n, layout())
	}
	checkpoint(t, s)
	before = deliver()
	if n := deliver() - before; n > 100 || layout() != schemaVersion {
		t.Errorf("400 records have %d entries in a file of layout %d", n, layout())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
