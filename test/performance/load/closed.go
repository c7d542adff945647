/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package load

import (
	"context"
	"sync"
	"time"
)

// Closed has each sender make one exchange after the other for a time.
func Closed(ctx context.Context, length time.Duration, senders []Sender) Outcome {
	var o Outcome
	var mu sync.Mutex
	var group sync.WaitGroup
	started := time.Now()
	for _, sender := range senders {
		group.Go(func() {
			made, failed, first := 0, 0, error(nil)
			for time.Since(started) < length && ctx.Err() == nil {
				made++
				if err := sender.Exchange(); err != nil {
					// Whatever is wrong with the connection, it stays so.
					failed, first = 1, err
					break
				}
			}
			mu.Lock()
			defer mu.Unlock()
			o.Exchanges += made
			if failed > 0 {
				o.fail(first)
			}
		})
	}
	group.Wait()
	o.Elapsed = time.Since(started)
	return o
}
