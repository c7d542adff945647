/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package load

import "time"

// Sender makes exchanges on a connection of its own, one after the other.
type Sender interface {
	// Exchange makes one, and checks the response.
	Exchange() error
	Close()
}

// Outcome is what became of exchanges.
type Outcome struct {
	// Exchanges were begun, and so many of them Failed, First with this error.
	Exchanges, Failed int
	First             error
	Elapsed           time.Duration
	// Latencies are from the intended begin of each exchange to its end. A
	// closed loop has none.
	Latencies []time.Duration
	// Lateness is how long after its intended begin each exchange was begun,
	// where that was the generator's fault: with every connection in use it is
	// the server that is late.
	Lateness []time.Duration
}

func (o *Outcome) fail(err error) {
	o.Failed++
	if o.First == nil {
		o.First = err
	}
}
