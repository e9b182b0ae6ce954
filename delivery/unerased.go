package delivery

// Eraser is a Store that can find out that an erasure has broken off and cannot go on.
type Eraser interface {
	Store
	// Unerased says so; nil if there is no such erasure.
	Unerased() error
}

// unerased says that an erasure has broken off and cannot go on.
func (e *Engine) unerased() error {
	if e.eraser == nil {
		return nil
	}
	return e.eraser.Unerased()
}
