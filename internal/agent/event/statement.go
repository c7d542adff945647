/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

// Ledger makes the ledger event of a statement. It tells of no exchange, so it
// has neither a subject nor a trace context, and nothing of the owner's
// metadata: it is for whoever audits the events, not for those they are routed
// to.
func (b *Builder) Ledger(statement ledger.Statement, id string, at time.Time) (*Event, error) {
	data, err := json.Marshal(statement)
	if err != nil {
		return nil, fmt.Errorf("writing a statement: %w", err)
	}
	// Not by sharedBy: the few ledger events would replace the attributes that
	// the other events share.
	shared, err := newShared(b.Identity, nil)
	if err != nil {
		return nil, err
	}
	return finish(&Event{
		Kind: agentconfig.KindLedger, id: id + "-" + string(agentconfig.KindLedger), source: shared.source,
		contentType: "application/json", at: at.UTC(),
		shared: shared, data: data, mode: b.ContentMode,
	})
}
