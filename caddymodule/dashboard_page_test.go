package caddymodule_test

import "testing"

// flowsOfStores depend on what a store holds. They are tried with each store.
var flowsOfStores = map[string]func(*testing.T, *dashboard){
	"add a webhook":       testAddWebhook,
	"change a webhook":    testChangeWebhook,
	"delete a webhook":    testDeleteWebhook,
	"send a test event":   testTestEvent,
	"read the log":        testLog,
	"filter the log":      testFilters,
	"read a request":      testDetail,
	"run again":           testRerun,
	"run again and leave": testRerunLeft,
	"run many again":      testBulk,
	"live":                testLive,
	"live burst":          testLiveBurst,
	"overview":            testOverview,
	"webhook facts":       testWebhookFacts,
}

// flowsOfPage depend only on the page. They are tried once.
var flowsOfPage = map[string]func(*testing.T, *dashboard){
	"check a webhook":      testWebhookChecks,
	"attempts and waiting": testAttempts,
	"hostile texts":        testHostileTexts,
	"keyboard alone":       testKeyboard,
	"looks":                testLooks,
	"sign in":              testSignIn,
	"signed out":           testSignedOut,
	"viewer":               testViewer,
	"mounts":               testPageMounts,
	"times":                testTimes,
	"many webhooks":        testManyWebhooks,
	"live reader":          testLiveReader,
	"late answer":          testLateAnswer,
	"late save":            testLateSave,
	"late results":         testLateResults,
	"stopped in between":   testBulkStopped,
	"failed answers":       testFailedAnswers,
	"failed list":          testFailedList,
	"panel on another tab": testPanelLeft,
	"links in the panel":   testPanelLinks,
	"live refused":         testLiveRefused,
	"live signed out":      testLiveSignedOut,
	"verify a signature":   testVerify,
	"refresh":              testRefresh,
	"late refresh":         testRefreshLate,
	"messages":             testMessages,
	"long texts":           testLongTexts,
	"live pointer":         testLivePointer,
	"place of the panel":   testPanelPlace,
}

// TestDashboardPage uses the page for admins in a real Chromium, as people do. One browser
// serves all tests, each with a window and a tenant of its own.
func TestDashboardPage(t *testing.T) {
	t.Parallel()
	browser := startChromium(t)
	for name, store := range dashboardStores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			site := startDashboardSite(t, browser, store(t))
			flows := func(tests map[string]func(*testing.T, *dashboard)) {
				for name, test := range tests {
					t.Run(name, func(t *testing.T) {
						t.Parallel()
						test(t, site.open(t))
					})
				}
			}
			flows(flowsOfStores)
			if name == "embedded" {
				flows(flowsOfPage)
			}
		})
	}
	// These need a Caddy of their own. They run one after the other.
	t.Run("alone", func(t *testing.T) {
		t.Parallel()
		folder := t.TempDir()
		fillEmbedded(t, folder, longLog)
		site := startDashboardSite(t, browser, "embedded "+folder, "event_types *", "standard_webhooks")
		t.Run("copy as curl", func(t *testing.T) { testCurl(t, site.open(t)) })
		t.Run("any event type", func(t *testing.T) { testUnlistedTypes(t, site.open(t)) })
		t.Run("long log", func(t *testing.T) { testLongLog(t, site.openAs(t, longTenant)) })
		t.Run("connection", func(t *testing.T) { testConnection(t, site.open(t)) })
	})
}
