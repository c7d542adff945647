/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package sampling decides which exchanges give events, and how many events there
// may be. It is pure: values in, values out, no clock and no I/O.
package sampling

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"math/bits"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

// Key makes decisions unpredictable for those who don't have it. A model often sees
// the correlation id of an exchange, as its X-Request-Id. It must not know which of
// its responses are recorded.
//
// Each start of an agent has a key of its own. The agents of a chain, such as those
// of a transformer and of a predictor, decide independently of each other: each
// makes its own correlation ids, so a common key would change nothing.
type Key [16]byte

// NewKey returns a random key.
func NewKey() (key Key) {
	// It never fails.
	_, _ = rand.Read(key[:])
	return key
}

// Sampler decides which exchanges give events. A nil Sampler selects all. It is
// safe for concurrent use.
type Sampler struct {
	key Key
	// selected of so many exchanges are selected.
	selected, of uint64

	keepFailures   bool
	keepSlowerThan time.Duration
}

// New returns the sampler of an agent's configuration, nil if it doesn't sample.
func New(key Key, given agentconfig.Sampling) *Sampler {
	s := &Sampler{key: key, keepFailures: given.KeepFailures, keepSlowerThan: given.KeepSlowerThan}
	switch {
	case given.OneIn > 0:
		s.selected, s.of = 1, uint64(given.OneIn)
	case given.Percent > 0:
		s.selected, s.of = uint64(math.Round(given.Percent*agentconfig.PercentUnits/100)), agentconfig.PercentUnits
	default:
		return nil
	}
	return s
}

// Rate says how many exchanges an exchange stands for, which is the attribute
// sampledrate of its events: 0 if it isn't selected. The same correlation id always
// gives the same rate. Over all ids the rates have the mean 1, so their sum over the
// selected exchanges estimates the number of all exchanges without a bias. Where
// not a whole number of exchanges comes on each selected one, chance decides between
// the two rates beside that number.
func (s *Sampler) Rate(correlationID string) int32 {
	// drawn is uniform from 0 to of-1, but for a bias of at most of in 2^64.
	drawn, _ := bits.Mul64(s.hash(correlationID), s.of)
	return s.rateOf(drawn)
}

// rateOf is the rate of what is drawn from 0 to of-1.
func (s *Sampler) rateOf(drawn uint64) int32 {
	if drawn >= s.selected {
		return 0
	}
	rate := s.of / s.selected
	if drawn < s.of%s.selected {
		rate++
	}
	return int32(rate)
}

// hash is a keyed hash. SHA-256 of the key and the id is enough: nobody sees more of
// a digest than a decision, so none can be extended, as HMAC prevents. A key and a
// UUID fit one block of it, and take no memory of the heap.
func (s *Sampler) hash(correlationID string) uint64 {
	var room [64]byte
	sum := sha256.Sum256(append(append(room[:0], s.key[:]...), correlationID...))
	return binary.BigEndian.Uint64(sum[:])
}

// Waits reports whether the outcome of an exchange decides, too. Then an exchange
// gives no event before its end.
func (s *Sampler) Waits() bool { return s.keepFailures || s.keepSlowerThan > 0 }

// Keeps reports whether an exchange with this outcome is sent although it isn't
// selected. Its rate is then 1, also where it is selected: no exchange of this kind
// was left out for it to stand for.
func (s *Sampler) Keeps(failed bool, took time.Duration) bool {
	return s.keepFailures && failed || s.keepSlowerThan > 0 && took > s.keepSlowerThan
}
