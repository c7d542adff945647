/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package receiver

import (
	"container/list"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
)

// LedgerType is the type of ledger events.
const LedgerType = "io.kubeflow.serving.inference.ledger"

// Defaults of Options.
const (
	DefaultMaxStreams = 1024
	DefaultMaxRanges  = 1024
)

const (
	// maxStatementBytes is well over what a ledger event takes.
	maxStatementBytes = 8 << 10
	// maxNameBytes bounds what is kept of a stream's name.
	maxNameBytes = 1 << 10
)

var sequencePattern = regexp.MustCompile(`^[0-9]{1,19}$`)

// ErrNoAgent says that an event is not from an agent: it has no agentinstance
// and agentsequence.
var ErrNoAgent = errors.New("the event is not from an agent")

// Options bound a Tally.
type Options struct {
	// MaxStreams is how many streams are remembered. The one that was quiet for
	// longest is forgotten first. If it has a later event, it begins anew, and all
	// earlier events count as missing. 0 is DefaultMaxStreams.
	MaxStreams int
	// MaxRanges is how many ranges of missing events are remembered of each
	// stream, 16 bytes each. 0 is DefaultMaxRanges.
	MaxRanges int
	// OnForget is called for a stream that is forgotten, if it isn't nil. It must
	// not call the Tally.
	OnForget func(Report)
}

// Tally counts the events of each stream that arrived, and those that are
// missing. It is safe for concurrent use, and keeps nothing of the events.
type Tally struct {
	options Options

	mu      sync.Mutex
	streams map[Stream]*list.Element
	// recent has every stream, the one that was last heard of first.
	recent list.List
}

// stream is what is remembered of one.
type stream struct {
	name      Stream
	gaps      gaps
	statement *ledger.Statement
}

// NewTally returns an empty tally.
func NewTally(options Options) *Tally {
	if options.MaxStreams <= 0 {
		options.MaxStreams = DefaultMaxStreams
	}
	if options.MaxRanges <= 0 {
		options.MaxRanges = DefaultMaxRanges
	}
	return &Tally{options: options, streams: make(map[Stream]*list.Element)}
}

// Receive takes an event, in whatever order and as often as it comes. An error
// says why it couldn't be counted (ErrNoAgent for events of others), or that it
// was, but that what a ledger event says couldn't be read.
func (t *Tally) Receive(e event.Event) error {
	instance, _ := e.Extensions()["agentinstance"].(string)
	text, _ := e.Extensions()["agentsequence"].(string)
	if instance == "" || text == "" {
		return ErrNoAgent
	}
	if !sequencePattern.MatchString(text) {
		return fmt.Errorf("invalid agentsequence of the event %s: must be a number", e.ID())
	}
	sequence, err := strconv.ParseUint(text, 10, 64)
	if err != nil || sequence == 0 {
		return fmt.Errorf("invalid agentsequence of the event %s: must be at least 1", e.ID())
	}
	if len(e.Source())+len(instance) > maxNameBytes {
		return fmt.Errorf("the event %s has a source and an agentinstance of more than %d bytes", e.ID(), maxNameBytes)
	}
	// Copies: the rest of the event is not to be kept for them.
	name := Stream{Source: strings.Clone(e.Source()), AgentInstance: strings.Clone(instance)}
	var statement *ledger.Statement
	if e.Type() == LedgerType {
		if statement, err = readStatement(e, name, sequence); err != nil {
			err = fmt.Errorf("the ledger event %s: %w", e.ID(), err)
		}
	}
	return errors.Join(err, t.add(name, sequence, statement))
}

func readStatement(e event.Event, name Stream, sequence uint64) (*ledger.Statement, error) {
	if len(e.Data()) > maxStatementBytes {
		return nil, fmt.Errorf("its data has more than %d bytes", maxStatementBytes)
	}
	statement := new(ledger.Statement)
	if err := json.Unmarshal(e.Data(), statement); err != nil {
		return nil, fmt.Errorf("reading its data: %w", err)
	}
	if statement.AgentInstance != name.AgentInstance || statement.Sequence != sequence {
		return nil, errors.New("its data belongs to another event")
	}
	return statement, nil
}

// Add counts a number of a stream, for a caller that doesn't have the event.
func (t *Tally) Add(name Stream, sequence uint64) {
	_ = t.add(name, sequence, nil)
}

func (t *Tally) add(name Stream, sequence uint64, statement *ledger.Statement) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.hear(name)
	s.gaps.add(sequence, t.options.MaxRanges)
	switch {
	case statement == nil:
		return nil
	case s.statement != nil && s.statement.Sink != statement.Sink:
		return fmt.Errorf("the ledger of %s is for the sink %q, an earlier one was for %q: use one tally for each sink", name, statement.Sink, s.statement.Sink)
	case s.statement == nil || s.statement.Sequence < statement.Sequence:
		s.statement = statement
	}
	return nil
}

// hear gives a stream that there is news of, and forgets the one that was quiet
// for longest where there are too many.
func (t *Tally) hear(name Stream) *stream {
	if element, known := t.streams[name]; known {
		t.recent.MoveToFront(element)
		return element.Value.(*stream)
	}
	if len(t.streams) >= t.options.MaxStreams {
		t.forget(t.recent.Back())
	}
	s := &stream{name: name}
	t.streams[name] = t.recent.PushFront(s)
	return s
}

func (t *Tally) forget(element *list.Element) Report {
	report := t.recent.Remove(element).(*stream).report()
	delete(t.streams, report.Stream)
	if t.options.OnForget != nil {
		t.options.OnForget(report)
	}
	return report
}

// Forget forgets a stream, and gives the last report of it; false where there
// is none. It is for those that ended, once what was missing had time to come.
func (t *Tally) Forget(name Stream) (Report, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	element, known := t.streams[name]
	if !known {
		return Report{}, false
	}
	return t.forget(element), true
}

// Report says what is known of a stream; false where nothing is.
func (t *Tally) Report(name Stream) (Report, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	element, known := t.streams[name]
	if !known {
		return Report{}, false
	}
	return element.Value.(*stream).report(), true
}

// Reports says what is known of every stream, in the order of their names.
func (t *Tally) Reports() []Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	reports := make([]Report, 0, len(t.streams))
	for _, element := range t.streams {
		reports = append(reports, element.Value.(*stream).report())
	}
	slices.SortFunc(reports, func(a, b Report) int { return strings.Compare(a.Stream.String(), b.Stream.String()) })
	return reports
}

func (s *stream) report() Report {
	report := Report{
		Stream:     s.name,
		Seen:       s.gaps.seen,
		Duplicates: s.gaps.duplicates,
		First:      s.gaps.first,
		Last:       s.gaps.last,
		Missing:    s.gaps.upTo(s.gaps.last),
		Ranges:     slices.Clone(s.gaps.ranges),
		Forgotten:  s.gaps.forgotten,
		Late:       s.gaps.late,
	}
	if s.statement != nil {
		statement := *s.statement
		report.Statement = &statement
		report.Ended = statement.Final && statement.Sequence == s.gaps.last
		report.missingToStatement = s.gaps.upTo(statement.Sequence)
	}
	return report
}
