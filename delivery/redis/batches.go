package redis

// batches divides work among partitions, into batches that one run of a script can do.
type batches[B interface{ isFull() bool }] struct {
	all   []B
	begin func(*partition) B
	open  map[*partition]B // the batches that have room
}

func newBatches[B interface{ isFull() bool }](begin func(*partition) B) batches[B] {
	return batches[B]{begin: begin, open: make(map[*partition]B)}
}

// of gives the batch for the next item of a partition.
func (b *batches[B]) of(p *partition) B {
	batch, ok := b.open[p]
	if !ok || batch.isFull() {
		batch = b.begin(p)
		b.open[p] = batch
		b.all = append(b.all, batch)
	}
	return batch
}
