/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agent/spool"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

// TestScenarios tells a core what testdata/scenarios says, and compares what it
// asks for. With -rewrite, the files get what it asks for.
//
//	sink [first=4] [most=8] [hangs-after=10s] [max-bytes=100] [retries=2] [delay=1s] [policy=linear] [dead-letters] [spool] [window=10]
//
// begins with a new core. Every other command is an input (see input.go). The
// events 1 to 3 are written 1-3; each holds 10 bytes and expires after 10 minutes.
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata/scenarios", func(t *testing.T, path string) {
		var s *scenario
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "sink" {
				s = newScenario(t, d)
				return s.ready()
			}
			return s.run(t, d)
		})
	})
}

// scenario is a core, its clock and the items it was given.
type scenario struct {
	core  *core
	now   time.Time
	items map[uint64]*Item
	// records is the number of records that were spooled.
	records uint64
}

func newScenario(t *testing.T, d *datadriven.TestData) *scenario {
	config := Config{FirstInFlight: 4, MaxInFlight: 8, Random: func() float64 { return 0.5 }}
	d.MaybeScanArgs(t, "first", &config.FirstInFlight)
	d.MaybeScanArgs(t, "most", &config.MaxInFlight)
	d.MaybeScanArgs(t, "max-bytes", &config.MaxBytes)
	config.HangsAfter = durationOf(t, d, "hangs-after")
	if retries := 0; d.MaybeScanArgs(t, "retries", &retries) {
		config.Schedule.Retries = &retries
	}
	if delay := durationOf(t, d, "delay"); d.HasArg("delay") {
		config.Schedule.Delay = &delay
	}
	if policy := ""; d.MaybeScanArgs(t, "policy", &policy) {
		config.Schedule.Policy = agentconfig.BackoffPolicy(policy)
	}
	bounds := spoolBounds{QueueBytes: diskQueue, WindowBytes: diskWindow, MaxRecordBytes: diskMaxRecord}
	d.MaybeScanArgs(t, "window", &bounds.WindowBytes)
	s := &scenario{
		core:  newCore(config, bounds, d.HasArg("dead-letters")),
		now:   time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC),
		items: make(map[uint64]*Item),
	}
	s.core.Step(s.now, started{})
	if d.HasArg("spool") {
		s.core.Step(s.now, spoolOpened{})
		s.core.Step(s.now, readsAllowed{})
	}
	return s
}

func durationOf(t *testing.T, d *datadriven.TestData, key string) time.Duration {
	t.Helper()
	text := "0s"
	d.MaybeScanArgs(t, key, &text)
	return parseDuration(t, text)
}

func parseDuration(t *testing.T, text string) time.Duration {
	t.Helper()
	duration, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return duration
}

// numbers are those among the arguments, with ranges expanded.
func numbers(t *testing.T, d *datadriven.TestData) []uint64 {
	t.Helper()
	var all []uint64
	for _, argument := range d.CmdArgs {
		from, to, isRange := strings.Cut(argument.Key, "-")
		first, err := strconv.ParseUint(from, 10, 64)
		if err != nil {
			continue
		}
		last := first
		if isRange {
			if last, err = strconv.ParseUint(to, 10, 64); err != nil {
				t.Fatal(err)
			}
		}
		for n := first; n <= last; n++ {
			all = append(all, n)
		}
	}
	return all
}

// run gives the core the input that a command says, once for each event.
func (s *scenario) run(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	plain := map[string]input{
		"started": started{}, "stopped": stopped{}, "draining": draining{}, "closed": closed{},
		"spool-opened": spoolOpened{}, "spool-closed": spoolClosed{}, "reads-allowed": readsAllowed{},
	}
	if in, found := plain[d.Cmd]; found {
		s.core.Step(s.now, in)
		return s.ready()
	}
	events := numbers(t, d)
	switch d.Cmd {
	case "state":
		return s.state()
	case "tick":
		s.now = s.now.Add(parseDuration(t, d.CmdArgs[0].Key))
		s.core.Step(s.now, tick{})
	case "read-ended":
		s.core.Step(s.now, readEnded{records: int(events[0]), failed: d.HasArg("failed")})
	case "exposed":
		s.core.Step(s.now, exposed{first: events[0], last: events[len(events)-1]})
	case "lost":
		s.core.Step(s.now, lost{events: events[0], recovered: d.HasArg("recovered"), reason: ledger.ReasonOverflow})
	case "unreadable":
		s.core.Step(s.now, unreadable{record: events[0], recovered: d.HasArg("recovered"), reason: ledger.ReasonInvalid})
	default:
		for _, n := range events {
			s.core.Step(s.now, s.inputOf(t, d, n))
		}
	}
	return s.ready()
}

// inputOf returns the input about one event.
func (s *scenario) inputOf(t *testing.T, d *datadriven.TestData, n uint64) input {
	t.Helper()
	item := s.items[n]
	if strings.HasPrefix(d.Cmd, "attempt-") {
		if _, inFlight := s.core.inFlight[item]; !inFlight {
			t.Fatalf("%s: no attempt of event %d is in flight", d.Pos, n)
		}
	}
	switch d.Cmd {
	case "enqueue":
		item = &Item{Sequence: n, Observed: s.now, Deadline: s.now.Add(agentconfig.EventDeadline), Bytes: 10, Ahead: d.HasArg("priority")}
		s.items[n] = item
		return enqueued{item: item}
	case "attempt-ended":
		result := Result{RetryAfter: durationOf(t, d, "retry-after"), Unsendable: d.HasArg("unsendable"), NoAddress: d.HasArg("no-address")}
		d.MaybeScanArgs(t, "status", &result.Status)
		if d.HasArg("address-refused") {
			result.Refused = AddressMetadata
		}
		return attemptEnded{item: item, result: result}
	case "attempt-abandoned":
		return attemptAbandoned{item: item}
	case "spooled":
		s.records++
		kept := *item
		kept.record.number = s.records
		kept.Deadline = item.Observed.Add(SpooledDeadline)
		s.items[n] = &kept
		return spooled{item: item}
	case "not-spooled":
		return notSpooled{item: item, tooLarge: d.HasArg("too-large")}
	case "unspoolable":
		return unspoolable{item: item}
	case "read-back":
		if d.HasArg("recovered") {
			s.records++
			item = &Item{Sequence: n, Observed: s.now.Add(-time.Minute), Deadline: s.now.Add(SpooledDeadline), record: spoolRecord{number: s.records, recovered: true}}
			s.items[n] = item
		}
		item.Bytes = OverheadBytes + 10
		return readBack{item: item}
	default:
		t.Fatalf("%s: no such input", d.Pos)
		return nil
	}
}

// ready says what the core asks for.
func (s *scenario) ready() string {
	asked := s.core.Ready()
	defer s.core.Advance()
	var out strings.Builder
	for _, o := range asked.Outcomes {
		what := []string{"delivered", "dropped", "not delivered", "spooled", "recovered"}[o.Kind]
		if o.Item != nil {
			fmt.Fprintf(&out, "%s %d", what, o.Item.Sequence)
		} else {
			fmt.Fprintf(&out, "%s, events: %d", what, o.Events)
		}
		if o.Reason != "" {
			fmt.Fprintf(&out, " because of %s", o.Reason)
		}
		if o.Kind == outcomeUndelivered {
			fmt.Fprintf(&out, ", status %d", o.Item.retry.failure.Status)
		}
		out.WriteString("\n")
	}
	for _, record := range asked.Acknowledge {
		fmt.Fprintf(&out, "acknowledge record %d\n", record)
	}
	for _, item := range asked.Attempts {
		fmt.Fprintf(&out, "attempt %d of event %d\n", item.retry.attempts, item.Sequence)
	}
	for _, item := range asked.Spool {
		fmt.Fprintf(&out, "spool %d\n", item.Sequence)
	}
	if asked.Read.Records > 0 {
		fmt.Fprintf(&out, "read %d records from the %s end\n", asked.Read.Records, map[spool.End]string{spool.Oldest: "oldest", spool.Newest: "newest"}[asked.Read.From])
	}
	if asked.Wake.set {
		fmt.Fprintf(&out, "wake in %s\n", asked.Wake.at.Sub(s.now))
	}
	if out.Len() == 0 {
		return "nothing\n"
	}
	return out.String()
}

func (s *scenario) state() string {
	exposure := "a kill loses nothing"
	if first := s.core.FirstExposed(); first > 0 {
		exposure = fmt.Sprintf("a kill loses event %d first", first)
	}
	return fmt.Sprintf("waiting %d, in flight %d\nholds %d bytes, window %d bytes\n%s\nspool empty: %v\n",
		s.core.Waiting(), s.core.breaker.inFlight, s.core.budget.held, s.core.budget.window, exposure, s.core.SpoolEmpty())
}
