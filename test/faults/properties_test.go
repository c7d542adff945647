/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package faults

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
)

// property is a claim about the evidence; nil where it holds.
type property func(evidence) error

// theLawHolds (P1, from inside): nothing that was observed, or came from the
// disk, is without a fate.
func theLawHolds(e evidence) error {
	a := e.agent
	if a.Observed+a.Recovered != a.Delivered+a.DroppedTotal()+a.DeadLettered+a.Pending {
		return fmt.Errorf("P1: the ledger does not close: %+v", a)
	}
	return nil
}

// nothingIsUnexpected (P1, from outside): what a sink took, a client sent or
// the model responded.
func nothingIsUnexpected(e evidence) error {
	for _, event := range e.arrivals() {
		_, known := e.clients[event.exchange]
		if event.side() == response {
			known = known && e.model[event.exchange].responded
		}
		if !known || !slices.Contains(e.sides, event.side()) {
			return fmt.Errorf("P1: nobody expected the event %+v", event)
		}
	}
	return nil
}

// theLedgerIsTrue (P1, from outside): what the agent calls delivered or
// dead-lettered is there, and what is not there the agent calls dropped or
// pending.
func theLedgerIsTrue(e evidence) error {
	if unique := uint64(len(byID(e.sink))) + e.statementsOf(false); e.agent.Delivered > unique {
		return fmt.Errorf("P1: %d called delivered, the sink has %d", e.agent.Delivered, unique)
	}
	if unique := uint64(len(byID(e.letters))) + e.statementsOf(true); e.agent.DeadLettered > unique {
		return fmt.Errorf("P1: %d called dead-lettered, the dead letter sink has %d", e.agent.DeadLettered, unique)
	}
	missing, expected := uint64(0), uint64(0)
	seen := bySide(e.arrivals())
	for id, client := range e.clients {
		if !client.whole {
			continue
		}
		for _, s := range e.sides {
			expected++
			if len(seen[id+" "+string(s)]) == 0 {
				missing++
			}
		}
	}
	if owned := e.agent.DroppedTotal() + e.agent.Pending; missing > owned {
		return fmt.Errorf("P1: %d events are missing, the ledger owns to %d: %+v", missing, owned, e.agent)
	}
	if expected > e.agent.Observed {
		return fmt.Errorf("P1: %d events were due, the agent observed %d", expected, e.agent.Observed)
	}
	return nil
}

// statementsAreTrue (P1, P9): each ledger event says what the sinks know of the
// events up to its own place, and takes nothing back that an earlier one said.
func statementsAreTrue(e evidence) error {
	inOrder := slices.Clone(e.statements)
	slices.SortFunc(inOrder, func(a, b told) int { return cmp.Compare(a.event.sequence, b.event.sequence) })
	arrived := make(map[uint64]bool)
	for _, event := range e.everything() {
		arrived[event.sequence] = true
	}
	var before ledger.Statement
	for _, statement := range inOrder {
		says, place := statement.says, statement.event.sequence
		if says.Sequence != place || says.Observed != place || says.AgentInstance != statement.event.instance {
			return fmt.Errorf("P9: the ledger event %+v doesn't say its own place: %+v", statement.event, says)
		}
		if says.Observed+says.Recovered != says.Delivered+says.DroppedTotal()+says.DeadLettered+says.Pending {
			return fmt.Errorf("P1: a ledger event does not close: %+v", says)
		}
		present := uint64(0)
		for n := uint64(1); n < place; n++ {
			if arrived[n] {
				present++
			}
		}
		if says.Delivered+says.DeadLettered > present+says.Recovered {
			return fmt.Errorf("P1: the sinks have %d of the events before the ledger event %+v", present, says)
		}
		if missing := place - 1 - present; missing > says.DroppedTotal()+says.Pending {
			return fmt.Errorf("P9: %d events before the ledger event are missing: %+v", missing, says)
		}
		if err := nothingTakenBack(before, says); err != nil {
			return err
		}
		before = says
	}
	return nil
}

// nothingTakenBack compares the counts of two statements that only ever grow.
func nothingTakenBack(before, after ledger.Statement) error {
	fewer := after.Delivered < before.Delivered || after.DeadLettered < before.DeadLettered || after.Recovered < before.Recovered
	for reason, count := range before.Dropped {
		fewer = fewer || after.Dropped[reason] < count
	}
	for reason, count := range before.Skipped {
		fewer = fewer || after.Skipped[reason] < count
	}
	for kind, count := range before.SkippedEvents {
		fewer = fewer || after.SkippedEvents[kind] < count
	}
	if fewer {
		return fmt.Errorf("P9: a ledger event says less than the one before: %+v and %+v", after, before)
	}
	return nil
}

// skipsAreCountable (P9): each side of each exchange is an event, a loss, or a
// skipped event of its kind. Failures are not selected; of a side that is not
// asked for at all, nothing is.
func skipsAreCountable(e evidence) error {
	seen := bySide(e.arrivals())
	skipped, lost := make(map[string]uint64), uint64(0)
	for id, client := range e.clients {
		for _, s := range []side{request, response} {
			name, whole := "request", e.model[id].intact
			if s == response {
				name, whole = "response", client.whole
				if planned, _ := planOf(id); whole && planned.kind != unary {
					name = "stream"
				}
			}
			switch {
			case len(seen[id+" "+string(s)]) > 0:
			case !whole:
				skipped[name+".failure"]++
			case !slices.Contains(e.sides, s):
				skipped[name]++
			default:
				lost++
			}
		}
	}
	if !maps.Equal(skipped, e.skipped) {
		return fmt.Errorf("P9: of the exchanges, events are not selected of the kinds %v, the ledger says %v", skipped, e.skipped)
	}
	if owned := e.agent.DroppedTotal() + e.agent.Pending; lost != owned {
		return fmt.Errorf("P9: %d events are lost, the ledger says %d: %+v", lost, owned, e.agent)
	}
	return nil
}

// everyBodyIsTheirs (P3): no invented and no corrupt event.
func everyBodyIsTheirs(e evidence) error {
	for _, event := range e.arrivals() {
		planned, ok := planOf(event.exchange)
		if !ok {
			return fmt.Errorf("P3: an event of no exchange: %+v", event)
		}
		if want := sum(planned.body(event.side())); event.sum != want {
			return fmt.Errorf("P3: the body of %s %s is not what went over the wire", event.exchange, event.side())
		}
	}
	for id, seen := range e.model {
		if e.clients[id].whole && !seen.intact {
			return fmt.Errorf("P3: the model got another body of %s than its client sent", id)
		}
	}
	return nil
}

// aDuplicateIsTheSame (P3): whatever arrives twice keeps source, id and place.
func aDuplicateIsTheSame(e evidence) error {
	for name, events := range bySide(e.arrivals()) {
		for _, event := range events[1:] {
			if event != events[0] {
				return fmt.Errorf("P3: two events for %s: %+v and %+v", name, events[0], event)
			}
		}
	}
	for id, events := range byID(e.everything()) {
		for _, event := range events[1:] {
			if event != events[0] {
				return fmt.Errorf("P3: two events of the id %s: %+v and %+v", id, events[0], event)
			}
		}
	}
	return nil
}

// arrived (P4) gives the property that both events of an exchange came.
func arrived(id string) property {
	return func(e evidence) error {
		seen := bySide(e.sink)
		for _, s := range e.sides {
			if len(seen[id+" "+string(s)]) == 0 {
				return fmt.Errorf("P4: the %s of %s has not arrived", s, id)
			}
		}
		return nil
	}
}

// everyClientWasServed (P6): no client saw anything but the model's response.
func everyClientWasServed(e evidence) error {
	for id, client := range e.clients {
		planned, _ := planOf(id)
		if !client.whole && planned.kind != endless {
			return fmt.Errorf("P6: the client of %s got %d %s", id, client.status, client.err)
		}
	}
	return nil
}

// sameForClients (P6) compares the responses to the same exchanges under two
// states of a sink. A Date tells when, not what.
func sameForClients(with, without map[string]sent) error {
	if len(with) != len(without) {
		return fmt.Errorf("P6: %d exchanges against %d", len(with), len(without))
	}
	for id, one := range with {
		other := without[id]
		one.header, other.header = maps.Clone(one.header), maps.Clone(other.header)
		delete(one.header, "Date")
		delete(other.header, "Date")
		if !reflect.DeepEqual(one, other) {
			return fmt.Errorf("P6: the response to %s depends on the sink: %+v and %+v", id, one, other)
		}
	}
	return nil
}

// usage is what a process holds.
type usage struct {
	rssAnon                 int64
	descriptors, goroutines int
}

// spare is how many descriptors or goroutines more than at the start count as
// none.
const spare = 10

// isBounded (P7) holds the peak against a bound, and what is left after the
// load against what there was before it.
func isBounded(before, after usage, peak, bound int64) error {
	switch {
	case peak > bound:
		return fmt.Errorf("P7: %d bytes resident, the bound is %d", peak, bound)
	case after.descriptors > before.descriptors+spare:
		return fmt.Errorf("P7: %d descriptors before, %d after", before.descriptors, after.descriptors)
	case after.goroutines > before.goroutines+spare:
		return fmt.Errorf("P7: %d goroutines before, %d after", before.goroutines, after.goroutines)
	}
	return nil
}

// keepsSecrets (P8): no canary is in any of the texts, in any of the forms that
// a header, a URL or a document may have it in.
func keepsSecrets(canaries []string, texts map[string]string) error {
	for where, text := range texts {
		for _, canary := range canaries {
			for _, form := range formsOf(canary) {
				if at := strings.Index(text, form); at >= 0 {
					return fmt.Errorf("P8: a canary is in the %s: %q", where, text[max(0, at-80):at+len(form)])
				}
			}
		}
	}
	return nil
}

// formsOf returns a secret as it is, in hexadecimal digits, with all of its bytes
// percent-encoded, and in base64, where up to two bytes may precede it: then
// its first and last bytes share characters with others.
func formsOf(secret string) []string {
	forms := []string{secret, hex.EncodeToString([]byte(secret)), strings.ToUpper(hex.EncodeToString([]byte(secret)))}
	for _, format := range []string{"%%%02x", "%%%02X"} {
		escaped := ""
		for i := range len(secret) {
			escaped += fmt.Sprintf(format, secret[i])
		}
		forms = append(forms, escaped)
	}
	for before := range 3 {
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			encoded := encoding.EncodeToString(append(make([]byte, before), secret...))
			forms = append(forms, encoded[[]int{0, 2, 3}[before]:len(encoded)-1])
		}
	}
	return forms
}

// lossesAreCountable (P9): the gaps in agentsequence, up to the agent's count
// of events, are exactly what it calls lost or pending, for whoever receives
// from the dead letter sink, too.
func lossesAreCountable(e evidence) error {
	seen := make(map[uint64]bool)
	instances := make(map[string]bool)
	for _, event := range e.everything() {
		seen[event.sequence] = true
		instances[event.instance] = true
	}
	if len(instances) > 1 {
		return errors.New("P9: one agent gave itself several names")
	}
	if seen[0] {
		return errors.New("P9: an event has no place in the sequence")
	}
	gaps := uint64(0)
	for n := uint64(1); n <= e.agent.Observed; n++ {
		if !seen[n] {
			gaps++
		}
	}
	if lost := e.agent.DroppedTotal() + e.agent.Pending; gaps != lost {
		return fmt.Errorf("P9: %d gaps, the ledger says %d: %+v", gaps, lost, e.agent)
	}
	return nil
}

// bySide groups events by what they tell of.
func bySide(events []taken) map[string][]taken {
	groups := make(map[string][]taken)
	for _, event := range events {
		name := event.exchange + " " + string(event.side())
		groups[name] = append(groups[name], event)
	}
	return groups
}

// byID groups events by what CloudEvents identifies them by.
func byID(events []taken) map[string][]taken {
	groups := make(map[string][]taken)
	for _, event := range events {
		name := event.source + " " + event.id
		groups[name] = append(groups[name], event)
	}
	return groups
}

// always are the properties that hold while one agent lives, whatever breaks
// around it.
func always() []property {
	return []property{
		theLawHolds, nothingIsUnexpected, theLedgerIsTrue,
		everyBodyIsTheirs, aDuplicateIsTheSame, everyClientWasServed, statementsAreTrue,
	}
}

// afterAKill are those that need no word of the agent.
func afterAKill() []property {
	return []property{nothingIsUnexpected, everyBodyIsTheirs, aDuplicateIsTheSame}
}
