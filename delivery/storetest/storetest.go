// Package storetest is the suite that every delivery.Store must pass. It has a test for
// each promise of the interface, and does random operations on a store and on a model of
// it.
//
// No test waits for a fixed time. Where a lease must have ended, it is given a negative
// length, like the lease of a holder who died long ago. Where time must pass, the test
// asks until it has.
package storetest

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

const (
	// held is a lease that does not end while a test runs, and ended is one that has.
	held  = time.Hour
	ended = -time.Hour
	// retention is longer than anything that the tests date back.
	retention = 400 * 24 * time.Hour
	// patience is how long anything may take on a busy machine.
	patience  = time.Minute
	pollEvery = 2 * time.Millisecond
)

// Run runs the suite. open returns a store that is open and empty, and has it closed
// when the test ends.
func Run(t *testing.T, open func(t *testing.T) delivery.Store) {
	runTests(t, open)
	t.Run("Model", func(t *testing.T) { testModel(t, 0, modelRuns, open) })
}

// RunVariant runs the suite on another form of a store that passes Run: elsewhere, as another
// user, or encrypted. All tests are the same. Of the long random runs there are fewer, which are
// those of no other number: so each variant tries what nothing else has tried.
func RunVariant(t *testing.T, number int, open func(t *testing.T) delivery.Store) {
	runTests(t, open)
	t.Run("Model", func(t *testing.T) { testModel(t, modelRuns+(number-1)*variantRuns, variantRuns, open) })
}

func runTests(t *testing.T, open func(t *testing.T) delivery.Store) {
	for _, test := range suite {
		t.Run(test.name, func(t *testing.T) {
			test.run(&fixture{T: t, store: open(t)})
		})
	}
}

// suite has all tests but that against the model.
var suite = []struct {
	name string
	run  func(*fixture)
}{
	{"Webhooks/Change", testWebhookChanges},
	{"Webhooks/Conflict", testWebhookConflicts},
	{"Webhooks/Absent", testWebhookAbsent},
	{"Webhooks/Most", testMostWebhooks},
	{"Webhooks/Pages", testWebhookPages},
	{"Webhooks/PagesChange", testWebhookPagesChange},
	{"Webhooks/ChangesSince", testWebhookChangesSince},
	{"Webhooks/ChangesUnknown", testWebhookChangesUnknown},
	{"Webhooks/Of", testWebhooksOf},
	{"Webhooks/Declared", testDeclaredWebhooks},
	{"EventTypes/Most", testMostEventTypes},
	{"EventTypes/Together", testEventTypesTogether},
	{"Audit/Changes", testAuditChanges},
	{"Audit/Pages", testAuditPages},
	{"Audit/Bounds", testAuditBounds},
	{"Audit/Sweep", testAuditSweep},
	{"Accept/Store", testAcceptStores},
	{"Accept/Duplicate", testAcceptDuplicates},
	{"Accept/Stale", testAcceptStale},
	{"Accept/Repeat", testAcceptRepeated},
	{"Accept/Test", testAcceptTest},
	{"Accept/Large", testAcceptLarge},
	{"Accept/Expire", testEventExpires},
	{"Accept/IDUsedAgain", testIDUsedAgain},
	{"Accept/ExpirePaused", testPausedExpires},
	{"Events/List", testEventList},
	{"Events/Places", testEventPlaces},
	{"Events/Expire", testEventListExpires},
	{"Events/Erase", testErase},
	{"Events/EraseKinds", testEraseKinds},
	{"Claim/Lease", testLeases},
	{"Claim/LeaseEnds", testLeaseEnds},
	{"Claim/Room", testRoom},
	{"Claim/PassOver", testPassOver},
	{"Claim/Turns", testTurns},
	{"Claim/Slow", testSlow},
	{"Claim/Next", testNext},
	{"Claim/Pause", testPause},
	{"Claim/Once", testClaimedOnce},
	{"Claim/Pending", testPending},
	{"Rate/Waits", testRateWaits},
	{"Rate/Changes", testRateChanges},
	{"Rate/Slow", testRateSlow},
	{"Rate/Spaces", testRateSpaces},
	{"Rate/TakeStart", testTakeStart},
	{"Complete/Attempts", testAttempts},
	{"Complete/Repeat", testCompleteRepeated},
	{"Complete/LeaseLost", testLeaseLost},
	{"Complete/Rerun", testRerun},
	{"Complete/TestEvent", testTestEvent},
	{"Complete/Gone", testCompleteGone},
	{"Requests/Row", testRow},
	{"Requests/Filter", testFilters},
	{"Requests/Look", testLook},
	{"Requests/Unknown", testUnknown},
	{"Requests/Resend", testResend},
	{"Deliveries/Take", testTake},
	{"Deliveries/Untried", testUntried},
	{"Deliveries/Standing", testStanding},
	{"Order/Queue", testOrder},
	{"Order/Lease", testOrderLease},
	{"Order/Take", testOrderTake},
	{"Order/Expire", testOrderExpires},
	{"Order/Erase", testOrderErased},
	{"Order/Repeat", testOrderRepeat},
	{"Order/Random", testOrderRandom},
	{"Follow/Rows", testFollow},
	{"Follow/Repeat", testFollowRepeated},
	{"Follow/Resume", testFollowResume},
	{"Follow/Idle", testFollowIdle},
	{"Follow/Unknown", testFollowUnknown},
	{"Follow/Late", testFollowLate},
	{"Follow/Slow", testFollowSlow},
	{"Follow/Gone", testFollowGone},
	{"Follow/End", testFollowEnd},
	{"Follow/Load", testFollowLoad},
	{"Stats/Requests", testRequestCounts},
	{"Stats/Webhooks", testWebhookRequests},
	{"Stats/Pending", testWebhookPending},
	{"Stats/Kept", testStatsKept},
	{"Stats/Stored", testCountStored},
	{"Stats/StoredTogether", testCountStoredTogether},
	{"Received/Marks", testReceived},
	{"Received/Ends", testReceivedEnds},
	{"Received/Guards", testReceivedGuards},
	{"Received/Once", testReceivedOnce},
	{"Replays/One", testReplay},
	{"Replays/Held", testReplayHeld},
	{"Replays/Canceled", testReplayCanceled},
	{"Replays/Kept", testReplaysKept},
	{"Replays/Missed", testAddDelivery},
	{"Replays/MissedKinds", testAddDeliveryKinds},
	{"Sweep/Retention", testSweepRetention},
	{"Sweep/Deleted", testSweepDeleted},
	{"Sweep/Between", testSweepBetween},
	{"Sweep/Paused", testSweepPaused},
	{"Sweep/Shortened", testSweepShortened},
}

// fixture is a test and its store, with short names for what tests do often.
type fixture struct {
	*testing.T
	store delivery.Store
	made  int
	// firstRequests are the ids of first attempts that were made.
	firstRequests sync.Map
}

const tenant = "acme"

// newWebhook makes a webhook and does not store it.
func (f *fixture) newWebhook(tenant string) *delivery.Webhook {
	f.made++
	at := f.store.Now().UTC().Truncate(time.Millisecond)
	return &delivery.Webhook{
		Tenant: tenant, ID: delivery.NewID(f.store.Now()),
		URL:         fmt.Sprintf("https://example.com/%d", f.made),
		Secret:      "whsec_\x00 ☎",
		Description: "für alle — ☎",
		Enabled:     true,
		EventTypes:  []string{delivery.AllEventTypes},
		CreatedAt:   at, UpdatedAt: at,
		Headers:           map[string]string{"X-Site": "für alle", "X-Empty": ""},
		Metadata:          map[string]string{"team ☎": "b"},
		Retry:             &delivery.Retry{Attempts: 5, Delays: []time.Duration{time.Second, 90 * time.Minute}, Jitter: []time.Duration{0, time.Minute}},
		Timeout:           59*time.Second + time.Nanosecond,
		OrderBy:           `string(data.n) + "☎"`,
		Filter:            `data.n > 1 || tenant == "☎"`,
		Transform:         `{"text": "für " + data.name}`,
		Concurrency:       7,
		ClientCertificate: &delivery.ClientCertificate{Certificate: "c", PrivateKey: "☎"},
		SecretChangedAt:   at.Add(-time.Hour), PreviousSecret: "before ☎", PreviousSecretUntil: at.Add(time.Hour),
		Authorization: &delivery.Authorization{
			Type: delivery.OAuth2Authorization, Credential: "☎", Username: "u", Name: "n", TokenURL: "https://a.example", ClientID: "i", Scope: "s",
		},
	}
}

// webhook makes and stores a webhook.
func (f *fixture) webhook(tenant string) *delivery.Webhook {
	f.Helper()
	w := f.newWebhook(tenant)
	f.must(f.store.CreateWebhook(f.Context(), w, delivery.MaxWebhooks))
	return w
}

func (f *fixture) webhooks(tenant string, n int) []*delivery.Webhook {
	f.Helper()
	all := make([]*delivery.Webhook, n)
	for i := range all {
		all[i] = f.webhook(tenant)
	}
	return all
}

// update changes a stored webhook.
func (f *fixture) update(w *delivery.Webhook, change func(*delivery.Webhook)) {
	f.Helper()
	current, version, err := f.store.Webhook(f.Context(), w.Ref())
	f.must(err)
	change(current)
	f.must(f.store.UpdateWebhook(f.Context(), current, version))
}

func (f *fixture) version(tenant string) int64 {
	f.Helper()
	_, version, err := Webhooks(f.Context(), f.store, tenant)
	f.must(err)
	return version
}

// event makes an event for webhooks, whose deliveries are not born leased.
func (f *fixture) event(webhooks ...*delivery.Webhook) delivery.AcceptEvent {
	f.made++
	e := delivery.AcceptEvent{
		ID:   delivery.NewID(f.store.Now()),
		Type: "alert_active",
		// An emitter's time may be finer than a millisecond.
		OccurredAt: time.Date(2024, 2, 29, 12, 34, 56, 123456789, time.UTC),
		Payload:    fmt.Appendf(nil, `{"n":%d,"bytes":"\x00\xff"}`, f.made),
	}
	for _, w := range webhooks {
		e.Targets = append(e.Targets, delivery.Target{Webhook: w.ID})
	}
	return e
}

// leased makes an event whose deliveries are born leased.
func leased(e delivery.AcceptEvent) delivery.AcceptEvent {
	for i := range e.Targets {
		e.Targets[i].Lease = true
	}
	return e
}

// call makes a call that names the present version of the tenant's webhooks.
func (f *fixture) call(tenant string, events ...delivery.AcceptEvent) delivery.AcceptCall {
	f.Helper()
	return delivery.AcceptCall{Tenant: tenant, Version: f.version(tenant), Nonce: uuid.New(), Events: events}
}

func (f *fixture) acceptAll(lease time.Duration, calls ...delivery.AcceptCall) []delivery.Accepted {
	f.Helper()
	results := f.store.Accept(f.Context(), delivery.AcceptBatch{Calls: calls, Lease: lease, Retention: retention})
	if len(results) != len(calls) {
		f.Fatalf("Accept returned %d results for %d calls", len(results), len(calls))
	}
	return results
}

// accept stores events of the tenant in one call that must succeed.
func (f *fixture) accept(lease time.Duration, events ...delivery.AcceptEvent) delivery.Accepted {
	f.Helper()
	result := f.acceptAll(lease, f.call(tenant, events...))[0]
	f.must(result.Err)
	return result
}

var wideRoom = delivery.Room{Fast: 1000, Slow: 1000, PerWebhook: 1000, Lease: held}

func (f *fixture) claim(room delivery.Room) delivery.Claimed {
	f.Helper()
	claimed, err := f.claimAll(room)
	f.must(err)
	return claimed
}

// claimAll claims in all partitions, beginning with a different one each time.
func (f *fixture) claimAll(room delivery.Room) (all delivery.Claimed, err error) {
	all.Next, all.Due = delivery.ClaimEvery, delivery.ClaimEvery
	n := f.store.Partitions()
	first := rand.IntN(n)
	for i := range n {
		claimed, err := f.store.Claim(f.Context(), (first+i)%n, room)
		if err != nil {
			return all, err
		}
		all.Jobs = append(all.Jobs, claimed.Jobs...)
		all.Next, all.Due, all.Oldest = min(all.Next, claimed.Next), min(all.Due, claimed.Due), max(all.Oldest, claimed.Oldest)
		for _, job := range claimed.Jobs {
			if job.Slow {
				room.Slow--
			} else {
				room.Fast--
			}
		}
	}
	return all, nil
}

// claimSome claims until something is due. A lease without length ends at once, and a retry
// may be due already, but the clock has a limited precision.
func (f *fixture) claimSome(room delivery.Room) delivery.Claimed {
	f.Helper()
	var claimed delivery.Claimed
	f.eventually("a delivery falls due", func() bool {
		claimed = f.claim(room)
		return len(claimed.Jobs) > 0
	})
	return claimed
}

// drain claims until nothing is due for a while.
func (f *fixture) drain(room delivery.Room) []delivery.Job {
	f.Helper()
	var jobs []delivery.Job
	f.eventually("nothing more is due", func() bool {
		claimed := f.claim(room)
		jobs = append(jobs, claimed.Jobs...)
		return len(claimed.Jobs) == 0 && claimed.Next > time.Second
	})
	return jobs
}

// nothingDue fails the test if a delivery is due.
func (f *fixture) nothingDue() {
	f.Helper()
	if claimed := f.claim(wideRoom); len(claimed.Jobs) > 0 {
		f.Fatalf("%d deliveries are due, want none; the first: %+v", len(claimed.Jobs), claimed.Jobs[0])
	}
}

func (f *fixture) eventually(what string, done func() bool) {
	f.Helper()
	for deadline, tries := time.Now().Add(patience), 0; !done(); tries++ {
		if tries > 100 {
			time.Sleep(pollEvery)
		}
		if time.Now().After(deadline) {
			f.Fatalf("after %s this has not happened: %s", patience, what)
		}
	}
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}
