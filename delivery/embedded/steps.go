package embedded

// A read that may take long is done in steps, between which the writer does what waits for it:
// so it never waits for a whole read.
const (
	// stepWork is how much one step does: a look-up in the database is 1. It takes some tenths
	// of a millisecond.
	stepWork = 100
	// stepsAtOnce is how many steps may wait for the writer at the same time, so that many
	// readers do not make it wait for long together.
	stepsAtOnce = 2
)

// readStep does a part of a read, for as long as there is work left, and reports whether there is
// more to do.
type readStep func(tx *view, left *int) (more bool, err error)

// inSteps runs a read to its end.
func (s *Store) inSteps(do readStep) error {
	for more := true; more; {
		if err := s.runStep(func(tx *view) (err error) {
			left := s.stepWork
			more, err = do(tx, &left)
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) runStep(do func(*view) error) error {
	s.steps <- struct{}{}
	defer func() { <-s.steps }()
	return s.read(do)
}
