/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package capture

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"

	"github.com/sidenote-dev/sidenote/internal/agent/event"
)

const (
	// firstBytes is what a body of unknown length gets at first.
	firstBytes = 1 << 10
	// maxFirstBytes bounds what a length that was only announced reserves.
	maxFirstBytes = 64 << 10
	// maxGrowth is how many times what has flowed an announced length reserves.
	maxGrowth = 4
)

// Settings say what a Recorder keeps of one body.
type Settings struct {
	// MaxBytes caps what is kept.
	MaxBytes int64
	// KeepOverCap keeps the first MaxBytes of a longer body, too.
	KeepOverCap bool
	// Hash takes the SHA-256 of a body that isn't kept whole.
	Hash bool
	// Expected is the body's announced length, or -1.
	Expected int64
}

// Recorder copies one body as it flows. It is not safe for concurrent use.
type Recorder struct {
	settings Settings
	lease    *Lease
	data     []byte
	size     int64
	hash     hash.Hash
	// starved says that the budget had no room.
	starved bool
}

// NewRecorder returns a recorder that reserves what it keeps of the lease.
func NewRecorder(lease *Lease, settings Settings) Recorder {
	return Recorder{settings: settings, lease: lease}
}

// Write takes the next bytes of the body; it keeps a copy of them.
func (r *Recorder) Write(p []byte) {
	if len(p) == 0 {
		return
	}
	r.size += int64(len(p))
	switch {
	case r.starved:
	case r.size <= r.settings.MaxBytes:
		if r.grow(int(r.size)) {
			r.data = append(r.data, p...)
			return
		}
		r.startHash()
		r.starved = true
		r.discard()
	case r.hash == nil:
		// The cap is passed here for the first time.
		r.startHash()
		if !r.settings.KeepOverCap {
			r.starved = true
			r.discard()
		} else if room := r.settings.MaxBytes - int64(len(r.data)); room > 0 && r.grow(int(r.settings.MaxBytes)) {
			r.data = append(r.data, p[:room]...)
		}
	}
	if r.hash != nil {
		r.hash.Write(p)
	}
}

// Body returns what was recorded, and keeps nothing back.
func (r *Recorder) Body() event.Body {
	body := event.Body{Data: r.data, Size: r.size}
	if r.hash != nil && r.settings.Hash {
		body.SHA256 = hex.EncodeToString(r.hash.Sum(nil))
	}
	return body
}

// grow makes room for need bytes in all.
func (r *Recorder) grow(need int) bool {
	old := cap(r.data)
	if need <= old {
		return true
	}
	size := max(need, 2*old, firstBytes)
	if expected := r.settings.Expected; expected >= int64(need) {
		size = max(need, int(min(expected, max(maxGrowth*int64(old), maxFirstBytes))))
	}
	size = int(min(int64(size), r.settings.MaxBytes))
	var grown bool
	r.data, grown = r.lease.extend(r.data, size)
	return grown
}

// startHash hashes what was kept so far, which is all that flowed before.
func (r *Recorder) startHash() {
	if r.settings.Hash {
		r.hash = sha256.New()
		r.hash.Write(r.data)
	} else {
		r.hash = noHash{}
	}
}

func (r *Recorder) discard() {
	r.lease.discard()
	r.data = nil
}

// noHash stands for a hash that nobody wants.
type noHash struct{ hash.Hash }

func (noHash) Write(p []byte) (int, error) { return len(p), nil }
