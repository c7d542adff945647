/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agent/spool"
)

// The payload of a record, with integers little-endian and times in Unix
// nanoseconds:
//
//	 0  1  version
//	 1  8  observed
//	 9  8  may be tried again, 0 for at once
//	17  4  attempts
//	21  4  failures among successes
//	25  8  the sink's successes when it last failed, in the same process
//	33  2  the sink's status when it last failed
//	35  2  length of its response, n
//	37  n  its response
//	    .  the event, as event.Stored gives it
const (
	recordVersion     = 1
	recordHeaderBytes = 37
)

var errRecord = errors.New("the record holds no event")

// recordOf returns what is spooled of an item. The event's data are not copied.
func recordOf(item *Item) spool.Record {
	little := binary.LittleEndian
	head := make([]byte, 0, 1<<10)
	head = append(head, recordVersion)
	head = little.AppendUint64(head, uint64(item.Observed.UnixNano()))
	notBefore := int64(0)
	if !item.retry.notBefore.IsZero() {
		notBefore = item.retry.notBefore.UnixNano()
	}
	head = little.AppendUint64(head, uint64(notBefore))
	head = little.AppendUint32(head, uint32(item.retry.attempts))
	head = little.AppendUint32(head, uint32(item.retry.failuresAmongSuccesses))
	head = little.AppendUint64(head, item.retry.successes)
	head = little.AppendUint16(head, uint16(item.retry.failure.Status))
	head = little.AppendUint16(head, uint16(len(item.retry.failure.Body)))
	head = append(head, item.retry.failure.Body...)
	head, data := item.Event.Stored(head)
	return spool.Record{
		Deadline:      item.Observed.Add(SpooledDeadline).UnixNano(),
		AgentSequence: item.Sequence,
		Head:          head,
		Payload:       data,
	}
}

// itemOf returns the item of a record that was read back.
func itemOf(spooled spool.Spooled) (*Item, error) {
	little := binary.LittleEndian
	payload := spooled.Payload
	if len(payload) < recordHeaderBytes || payload[0] != recordVersion {
		return nil, errRecord
	}
	header, rest := payload[:recordHeaderBytes], payload[recordHeaderBytes:]
	response := int(little.Uint16(header[35:]))
	if response > len(rest) {
		return nil, errRecord
	}
	e, err := event.ReadStored(rest[response:])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errRecord, err)
	}
	item := &Item{
		Event:    e,
		Sequence: spooled.AgentSequence,
		Observed: time.Unix(0, int64(little.Uint64(header[1:]))),
		Deadline: time.Unix(0, spooled.Deadline),
		Bytes:    OverheadBytes + int64(cap(payload)),
		retry: retryState{
			attempts:               int(little.Uint32(header[17:])),
			failuresAmongSuccesses: int(little.Uint32(header[21:])),
			failure:                Result{Status: int(little.Uint16(header[33:])), Body: rest[:response]},
		},
		record: spoolRecord{number: spooled.Sequence, recovered: spooled.Recovered},
	}
	if notBefore := int64(little.Uint64(header[9:])); notBefore != 0 {
		item.retry.notBefore = time.Unix(0, notBefore)
	}
	if !spooled.Recovered {
		// Whatever succeeds in this process comes after an earlier one's failure.
		item.retry.successes = little.Uint64(header[25:])
	}
	return item, nil
}
