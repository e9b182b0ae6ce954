package delivery

// Encrypter is a Store that can encrypt secrets where it keeps them.
type Encrypter interface {
	Store
	Encryption() Encryption
}

// Encryption says what a store encrypts, and how far it is with what it has stored before.
type Encryption struct {
	// KeyID names the key that encrypts, "" if there is none.
	KeyID string
	// Done is true once every secret of a webhook is encrypted with that key.
	Done bool
	// Checked is how many webhooks have been looked at to find out, in the pass that is
	// under way or ended last.
	Checked int64
	// Err says what cannot be opened, since its key is missing; nil for nothing.
	Err error
}

// Encryption says what the store encrypts.
func (e *Engine) Encryption() Encryption {
	if e.encrypter == nil {
		return Encryption{}
	}
	return e.encrypter.Encryption()
}
