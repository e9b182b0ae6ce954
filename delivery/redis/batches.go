package redis

// batches divides work among partitions, into batches that one run of a script can do.
type batches[B interface{ isFull() bool }] struct {
	all   []B
	begin func(*partition) B
	open  map[*partition]B // the batches that have room; nil before the first
}

func newBatches[B interface{ isFull() bool }](begin func(*partition) B) batches[B] {
	return batches[B]{begin: begin}
}

// of gives the batch for the next item of a partition.
func (b *batches[B]) of(p *partition) B {
	batch, ok := b.open[p]
	if !ok || batch.isFull() {
		if batch = b.begin(p); b.open == nil {
			b.open = make(map[*partition]B, 1)
		}
		b.open[p] = batch
		b.all = append(b.all, batch)
	}
	return batch
}
