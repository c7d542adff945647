/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"encoding/json"
	"fmt"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"github.com/sidenote-dev/sidenote/pkg/agent/ledger"
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
	context, err := b.context(id+"-"+string(KindLedger), KindLedger, at)
	if err != nil {
		return nil, err
	}
	contentType := cloudevents.ApplicationJSON
	context.DataContentType = &contentType
	b.Identity.set(context)
	return b.finish(KindLedger, context, data)
}
