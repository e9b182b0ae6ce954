package redis

// texts makes byte slices arguments of a command without an allocation for each, which an
// interface of a slice takes.
type texts struct{ chunk []text }

// text is an argument by its pointer, as the client takes it.
type text []byte

// MarshalBinary returns the bytes themselves.
func (t *text) MarshalBinary() ([]byte, error) { return *t, nil }

// Chunks grow with the batch, since many have a single event.
const leastTexts, mostTexts = 8, 512

// add returns b as an argument.
func (all *texts) add(b []byte) any {
	if len(all.chunk) == cap(all.chunk) {
		all.chunk = make([]text, 0, max(leastTexts, min(2*cap(all.chunk), mostTexts)))
	}
	all.chunk = append(all.chunk, b)
	return &all.chunk[len(all.chunk)-1]
}
