package main

import (
	"context"
	"math/rand/v2"
)

const (
	manyTenants       = 1000
	webhooksPerTenant = 10
	// powerLaw is an exponent: the n-th tenant has n^-powerLaw as many events as the
	// first. The same goes for the webhooks of a tenant.
	powerLaw = 1.1
)

// measureTenants measures M. Each event is wanted by one webhook.
func measureTenants(ctx context.Context, r *rig) (figures, error) {
	if err := r.subscribeTenants(ctx, manyTenants, webhooksPerTenant, allOK); err != nil {
		return nil, err
	}
	var names [manyTenants]string
	for i := range names {
		names[i] = tenantName(i)
	}
	var types [webhooksPerTenant]string
	for i := range types {
		types[i] = typeName(i)
	}
	l := arrays
	l.composer = func() compose {
		random := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
		tenant := rand.NewZipf(random, powerLaw, 1, manyTenants-1)
		webhook := rand.NewZipf(random, powerLaw, 1, webhooksPerTenant-1)
		return func(b []byte, first int) (string, []byte) {
			for i := range l.events {
				b = appendEvent(append(b, arraySeparator(i)), first+i, types[webhook.Uint64()])
			}
			return names[tenant.Uint64()], append(b, ']')
		}
	}
	return l.measure(ctx, r)
}

func allOK(int) string { return okPath }
