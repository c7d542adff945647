/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agent/spool"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

func someEvent(t testing.TB, data string) *event.Event {
	t.Helper()
	builder := event.Builder{
		Identity:        event.Identity{Source: "m-predictor-default", AgentInstance: "i"},
		ContentMode:     agentconfig.ContentModeAuto,
		MaxPayloadBytes: 1 << 20,
	}
	o := &event.Observation{
		Exchange: &event.Exchange{CorrelationID: "c", Path: "/p"},
		Side:     event.Response, Complete: true, Status: 200, GRPCStatus: event.NoStatus,
		Body: event.Body{Data: []byte(data), Size: int64(len(data))},
		At:   time.Date(2026, 11, 22, 12, 0, 0, 7, time.UTC),
	}
	e, err := builder.Build(o, agentconfig.KindResponse, nil)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// back returns what is read of a record.
func back(record spool.Record, recovered bool) spool.Spooled {
	record.Payload, record.Head = slices.Concat(record.Head, record.Payload), nil
	return spool.Spooled{Record: record, Sequence: 5, Recovered: recovered}
}

// TestRetryStateSurvivesTheDisk, so that retries and poison do.
func TestRetryStateSurvivesTheDisk(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 3, time.UTC)
	for _, recovered := range []bool{false, true} {
		for _, notBefore := range []time.Time{{}, now.Add(time.Minute)} {
			item := &Item{
				Event: someEvent(t, `{"a":1}`), Sequence: 42, Observed: now, Deadline: now.Add(agentconfig.EventDeadline),
				retry: retryState{
					attempts: 7, failuresAmongSuccesses: 2, successes: 1 << 40, notBefore: notBefore,
					failure: Result{Status: 503, Body: []byte("no\n")},
				},
			}
			record := recordOf(item)
			got, err := itemOf(back(record, recovered))
			if err != nil {
				t.Fatal(err)
			}
			if got.Sequence != 42 || !got.Observed.Equal(now) || !got.Deadline.Equal(now.Add(SpooledDeadline)) || !got.retry.notBefore.Equal(notBefore) ||
				got.retry.attempts != 7 || got.retry.failuresAmongSuccesses != 2 || got.retry.failure.Status != 503 || string(got.retry.failure.Body) != "no\n" ||
				got.record.number != 5 || got.record.recovered != recovered {
				t.Errorf("got %+v", got)
			}
			if recovered == (got.retry.successes != 0) {
				t.Errorf("recovered %v: %d successes came before", recovered, got.retry.successes)
			}
			if one, other := sent(t, got), sent(t, item); one != other {
				t.Errorf("%s goes out, and not %s", one, other)
			}
			if got.Bytes < OverheadBytes+int64(len(got.Event.Data())) {
				t.Errorf("it holds %d bytes", got.Bytes)
			}
		}
	}
}

func sent(t *testing.T, item *Item) string {
	t.Helper()
	message := item.Event.Message(item.Sequence)
	body, err := io.ReadAll(message.Body())
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(message.Header, string(body))
}

// FuzzItemOf: whatever is on the disk, it is an item or an error.
func FuzzItemOf(f *testing.F) {
	record := recordOf(&Item{Event: someEvent(f, "{}"), Observed: time.Unix(5, 6), retry: retryState{failure: Result{Status: 500, Body: []byte("x")}}})
	f.Add(back(record, false).Payload)
	f.Add([]byte{recordVersion})
	f.Add(bytes.Repeat([]byte{recordVersion}, 100))
	f.Fuzz(func(t *testing.T, payload []byte) {
		item, err := itemOf(spool.Spooled{Record: spool.Record{Payload: payload}, Sequence: 1})
		if err != nil {
			return
		}
		if len(item.Event.Data())+len(item.retry.failure.Body) > len(payload) {
			t.Errorf("%d bytes gave %d of data and %d of a response", len(payload), len(item.Event.Data()), len(item.retry.failure.Body))
		}
		// What was read can be written.
		_ = recordOf(item)
	})
}
