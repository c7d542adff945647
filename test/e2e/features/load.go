/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"context"
	"net/http"
	"sync"
	"time"

	"knative.dev/pkg/apis"
	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/test/ingress"
)

// load is a stream of predictions, some at a time, until it is stopped.
type load struct {
	stop   context.CancelFunc
	done   sync.WaitGroup
	mutex  sync.Mutex
	sent   int
	failed []error
}

// startLoad keeps four clients predicting, each some twenty times a second.
func startLoad(ctx context.Context, model *apis.URL) *load {
	return startLoadOf(ctx, model, 4, 50*time.Millisecond)
}

// startLoadOf keeps some clients predicting, each at most once in a pause.
func startLoadOf(ctx context.Context, model *apis.URL, clients int, pause time.Duration) *load {
	stopped, stop := context.WithCancel(ctx)
	l := &load{stop: stop}
	client := ingress.NewHTTPClient()
	for range clients {
		l.done.Go(func() {
			pace := time.NewTicker(pause)
			defer pace.Stop()
			for {
				select {
				case <-stopped.Done():
					return
				case <-pace.C:
					l.predict(ctx, client, model)
				}
			}
		})
	}
	return l
}

func (l *load) predict(ctx context.Context, client *http.Client, model *apis.URL) {
	err := predict(ctx, client, model, newRequestID())
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.sent++
	if err != nil {
		l.failed = append(l.failed, err)
	}
}

// awaitMore waits until so many further predictions were sent.
func (l *load) awaitMore(ctx context.Context, t feature.T, more int) {
	want := l.count() + more
	eventually(ctx, t, "the load to go on", func(context.Context) error {
		return expect("it has sent enough", l.count() >= want, true)
	})
}

func (l *load) count() int {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.sent
}

// end stops the load, lets what is in flight finish and fails the step where
// a prediction failed.
func (l *load) end(t feature.T) {
	l.stop()
	l.done.Wait()
	for _, err := range l.failed {
		t.Error(err)
	}
	t.Logf("%d predictions, %d failed", l.sent, len(l.failed))
}
