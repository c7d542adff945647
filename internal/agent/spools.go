/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"go.uber.org/zap"

	"github.com/sidenote-dev/sidenote/internal/agent/delivery"
	"github.com/sidenote-dev/sidenote/internal/agent/spool"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

// maxAttributesBytes bounds the size of a spooled event without its body.
const maxAttributesBytes = 64 << 10

// reserveSpools takes the spools' part of the budget for the agent's lifetime.
func (a *Agent) reserveSpools(given *agentconfig.Config) {
	spools := 0
	for _, sink := range given.Sinks {
		if sink.Spool != nil {
			spools++
		}
	}
	a.spools = delivery.ShareOfSpool(given.BufferBytes, spools)
	lease := a.budget.Lease()
	// The metrics count it as events, not as captured bodies.
	lease.HandOver()
	lease.Grow(a.spools.Reserved * int64(spools))
}

func (a *Agent) spoolOptions(given *agentconfig.Config, sink agentconfig.Sink) *delivery.SpoolOptions {
	if sink.Spool == nil {
		return nil
	}
	log := a.logger.With(zap.String("sink", sink.Name))
	open := a.openSpool
	if open == nil {
		open = func(directory string) (delivery.SpoolDirectory, error) { return spool.OpenDirectory(directory) }
	}
	return &delivery.SpoolOptions{
		Open: func() (delivery.SpoolDirectory, error) { return open(sink.Spool.Directory) },
		Log: spool.Options{
			Limit:          sink.Spool.Bytes,
			MaxRecordBytes: int(given.MaxPayloadBytes) + maxAttributesBytes,
			Sync:           sink.Spool.Sync,
			DropNewest:     sink.Spool.DropNewest,
		},
		QueueBytes:  a.spools.Queue,
		WindowBytes: a.spools.Window,
		Reserve: func(bytes int64) (release func(), ok bool) {
			lease := a.budget.Lease()
			lease.HandOver()
			return lease.Release, lease.Grow(bytes)
		},
		OnFailing: func(failure delivery.SpoolFailure, err error) {
			log.Warn("the spool fails: waiting events are in memory only", zap.String("class", string(failure)), zap.Error(err))
		},
		OnRecovered: func() { log.Info("the spool works again") },
	}
}

// spoolsEmpty reports whether all spooled events were read back.
func (a *Agent) spoolsEmpty() bool {
	for _, sink := range a.sinks {
		if !sink.SpoolEmpty() {
			return false
		}
	}
	return true
}
