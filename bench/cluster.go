package main

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
)

const (
	simulatedTenants = 10_000
	// placements are how often tenants get other names, so that other ones share a node.
	placements = 51
	seed       = 16
	slots      = 16384 // of a Redis Cluster
)

// tenantShares are the shares of the events that tenants have: the n-th has n^-law as many as
// the first.
func tenantShares(tenants int, law float64) []float64 {
	shares := make([]float64, tenants)
	sum := 0.0
	for i := range shares {
		shares[i] = math.Pow(float64(i+1), -law)
		sum += shares[i]
	}
	for i := range shares {
		shares[i] /= sum
	}
	return shares
}

// placement has the hashes of the names of so many tenants.
type placement []uint32

// placementsOf gives tenants names by chance, several times. The seed is fixed.
func placementsOf(tenants int) [placements]placement {
	random := rand.New(rand.NewPCG(seed, seed))
	var all [placements]placement
	for i := range all {
		all[i] = make(placement, tenants)
		for n := range all[i] {
			all[i][n] = tenantHash("tenant-" + strconv.FormatUint(random.Uint64(), 36))
		}
	}
	return all
}

// busiestShare simulates how tenants fall onto the nodes of a Cluster. It returns the share of
// all events that the busiest node has, the median of the placements.
func busiestShare(all [placements]placement, shares []float64, partitions, nodes int) float64 {
	nodeOf := make([]int, partitions)
	for p := range nodeOf {
		nodeOf[p] = slotNode(partitionSlot(p), nodes)
	}
	var busiest [placements]float64
	for i, hashes := range all {
		load := make([]float64, nodes)
		for n, share := range shares {
			load[nodeOf[hashes[n]%uint32(partitions)]] += share
		}
		busiest[i] = slices.Max(load)
	}
	slices.Sort(busiest[:])
	return busiest[placements/2]
}

// tenantHash is by what the store spreads tenants over partitions.
func tenantHash(tenant string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(tenant))
	return binary.BigEndian.Uint32(h.Sum(nil))
}

// partitionSlot is the slot of the keys of a partition. They have its number as their hash tag.
func partitionSlot(partition int) int {
	crc := uint16(0)
	for _, b := range []byte(strconv.Itoa(partition)) {
		crc ^= uint16(b) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021 // CRC-16/XMODEM, as the specification of Redis Cluster says
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc) % slots
}

// slotNode is the node that has a slot where each has equally many in a row, as redis-cli
// --cluster create gives them.
func slotNode(slot, nodes int) int { return ((2*slot+1)*nodes - 1) / (2 * slots) }
