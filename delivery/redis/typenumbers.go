package redis

// typeNumbers numbers the event types of a script's arguments, from 1.
type typeNumbers struct {
	names   []any
	numbers map[string]int
}

func newTypeNumbers() typeNumbers { return typeNumbers{numbers: make(map[string]int)} }

func (t *typeNumbers) number(name string) int {
	n, ok := t.numbers[name]
	if !ok {
		t.names = append(t.names, name)
		n = len(t.names)
		t.numbers[name] = n
	}
	return n
}

// append appends how many there are, and their names.
func (t *typeNumbers) append(args []any) []any {
	args = append(args, len(t.names))
	return append(args, t.names...)
}
