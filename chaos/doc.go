// Package chaos has tests that break what the product stands on while it works: they kill,
// freeze, fill, empty and cut off Caddys, Redis servers, a Cluster, Sentinels and folders.
// All are real processes. Meanwhile emitters keep each answer, and a receiver keeps each
// request. In the end an auditor compares what they saw with what the API says: nothing
// that was acknowledged may be lost, or accepted twice.
//
// Scenarios that are quick run with all other tests. The tag chaos adds the others, and a
// soak. CONTRIBUTING.md says how to run them, and how to replay a run by its seed.
package chaos
