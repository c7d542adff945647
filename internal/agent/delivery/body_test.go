/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"testing"
)

// TestABodyIsNotReadAfterItsAttempt: net/http may read a body on when the attempt
// has ended, and the event's data are another body's by then.
func TestABodyIsNotReadAfterItsAttempt(t *testing.T) {
	for name, responded := range map[string]bool{"without a response": false, "after an early response": true} {
		t.Run(name, func(t *testing.T) {
			data := bytes.Repeat([]byte("data"), 50_000)
			want := bytes.Clone(data)
			body := &sentBody{reader: bytes.NewReader(data)}
			begun := make(chan struct{})
			var reading sync.WaitGroup
			var got []byte
			var err error
			reading.Go(func() {
				piece := make([]byte, 100)
				for err == nil {
					var n int
					n, err = body.Read(piece)
					if got == nil {
						close(begun)
					}
					got = append(got, piece[:n]...)
				}
			})
			<-begun
			(&sentBodies{bodies: []*sentBody{body}}).end(responded)
			for i := range data {
				data[i] = 'x'
			}
			reading.Wait()
			// It may have been read to its end before.
			whole := errors.Is(err, io.EOF) && len(got) == len(want)
			if !bytes.HasPrefix(want, got) || !whole && (responded || !errors.Is(err, errEnded)) {
				t.Errorf("%d of %d bytes were read, then %v; they are the event's own: %t", len(got), len(want), err, bytes.HasPrefix(want, got))
			}
		})
	}
}
