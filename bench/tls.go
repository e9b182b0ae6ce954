package main

import (
	"context"
	"fmt"
)

// measureHTTP1 measures T1: E with an endpoint that has TLS and HTTP/1.1.
func measureHTTP1(ctx context.Context, r *rig) (figures, error) { return r.overTLS(ctx, 1) }

// measureHTTP2 measures T2: the same with HTTP/2.
func measureHTTP2(ctx context.Context, r *rig) (figures, error) { return r.overTLS(ctx, 2) }

func (r *rig) overTLS(ctx context.Context, version int64) (figures, error) {
	url, err := r.sink.listenTLS(version == 2)
	if err != nil {
		return nil, err
	}
	f, err := r.toOne(ctx, url, arrays)
	if proto := r.sink.proto.Load(); err == nil && proto != version {
		err = fmt.Errorf("deliveries came over HTTP/%d, not HTTP/%d", proto, version)
	}
	return f, err
}
