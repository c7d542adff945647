/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package eventfilter selects events by their attributes, in the dialects of a
// Knative Trigger: exact, prefix, suffix, all, any, not and cesql. The results are
// those of Eventing's own filters (knative.dev/eventing/pkg/eventfilter), which
// would make a Kubernetes client a dependency of the agent. The package is pure.
//
// A filter sees each attribute as a string, also an Integer such as statuscode:
// so does a Trigger behind a Broker, because the attributes are HTTP headers on
// their way to it.
package eventfilter

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The bounds of a filter, each far above what a filter for people needs. They
// bound the time and the stack that a filter of any author takes.
const (
	// MaxBytes bounds a filter's JSON.
	MaxBytes = 16 << 10
	// MaxFilters bounds the filters in a filter, itself included.
	MaxFilters = 64
	// MaxDepth bounds how deep filters are in each other.
	MaxDepth = 8
)

// Attributes are those of one event. Names are in lower case, and an Integer has
// its decimal form.
type Attributes interface {
	// Attribute returns the value of an attribute, and whether the event has it.
	Attribute(name string) (value string, found bool)
	// Attributes returns every attribute that the event has.
	Attributes() iter.Seq2[string, string]
}

// Filter is a compiled filter. It is safe for concurrent use.
type Filter struct{ matcher matcher }

// matcher reports whether an event passes one filter.
type matcher func(*subject) bool

// Compile returns the filter of a JSON object, which has exactly one of the
// members exact, prefix, suffix, all, any, not and cesql. An error is an *Error.
func Compile(text string) (*Filter, error) {
	if len(text) > MaxBytes {
		return nil, refuse(fmt.Errorf("has %d bytes: write at most %d", len(text), MaxBytes))
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	var written *written
	if err := decoder.Decode(&written); err != nil || written == nil {
		return nil, refuse(errors.New("must be a JSON object with one of " + dialects))
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, refuse(errors.New("has more than one JSON object: write one"))
	}
	var c compiler
	compiled, err := c.compile(written, 1)
	if err != nil {
		return nil, err
	}
	return &Filter{compiled}, nil
}

// Matches reports whether an event passes the filter. It never panics: an error
// in an expression doesn't match, as in a Trigger.
func (f *Filter) Matches(event Attributes) bool {
	return f.matcher(&subject{Attributes: event})
}

// Error says what is wrong with a filter, and what to write.
type Error struct {
	// Path is where in the filter: all[1].exact, and empty for all of it.
	Path string
	Err  error
}

func (e *Error) Error() string {
	if e.Path == "" {
		return "invalid filter: " + e.Err.Error()
	}
	return "invalid filter: " + e.Path + ": " + e.Err.Error()
}

// Unwrap returns the error without its path.
func (e *Error) Unwrap() error { return e.Err }

func refuse(err error) *Error { return &Error{Err: err} }

// at puts a part of a path in front of an error's.
func (e *Error) at(part string) *Error {
	separator := "."
	if e.Path == "" || e.Path[0] == '[' {
		separator = ""
	}
	return &Error{Path: part + separator + e.Path, Err: e.Err}
}

const dialects = "exact, prefix, suffix, all, any, not and cesql"

// written is a filter as its author wrote it.
type written struct {
	Exact  map[string]string `json:"exact"`
	Prefix map[string]string `json:"prefix"`
	Suffix map[string]string `json:"suffix"`
	All    []*written        `json:"all"`
	Any    []*written        `json:"any"`
	Not    *written          `json:"not"`
	CESQL  string            `json:"cesql"`
}

// dialects counts those that are given.
func (w *written) dialects() (given int) {
	for _, is := range []bool{
		len(w.Exact) > 0, len(w.Prefix) > 0, len(w.Suffix) > 0, len(w.All) > 0, len(w.Any) > 0, w.Not != nil, w.CESQL != "",
	} {
		if is {
			given++
		}
	}
	return given
}

// compiler counts what it has compiled.
type compiler struct{ filters int }

func (c *compiler) compile(w *written, depth int) (matcher, *Error) {
	c.filters++
	switch {
	case depth > MaxDepth:
		return nil, refuse(fmt.Errorf("is more than %d filters deep: write a cesql expression", MaxDepth))
	case c.filters > MaxFilters:
		return nil, refuse(fmt.Errorf("has more than %d filters: write a cesql expression", MaxFilters))
	case w == nil || w.dialects() == 0:
		return nil, refuse(errors.New("is empty: write one of " + dialects))
	case w.dialects() > 1:
		return nil, refuse(errors.New("has several dialects: write one, or several under all"))
	}
	switch {
	case len(w.Exact) > 0:
		return compare("exact", w.Exact, func(value, wanted string) bool { return value == wanted })
	case len(w.Prefix) > 0:
		return compare("prefix", w.Prefix, strings.HasPrefix)
	case len(w.Suffix) > 0:
		return compare("suffix", w.Suffix, strings.HasSuffix)
	case len(w.All) > 0:
		return c.list("all", w.All, depth, false)
	case len(w.Any) > 0:
		return c.list("any", w.Any, depth, true)
	case w.Not != nil:
		inner, err := c.compile(w.Not, depth+1)
		if err != nil {
			return nil, err.at("not")
		}
		return func(s *subject) bool { return !inner(s) }, nil
	default:
		compiled, err := compileExpression(w.CESQL)
		if err != nil {
			return nil, refuse(err).at("cesql")
		}
		return compiled.matches, nil
	}
}

// list compiles filters of which the first that gives decides is decisive.
func (c *compiler) list(dialect string, filters []*written, depth int, decides bool) (matcher, *Error) {
	matchers := make([]matcher, 0, len(filters))
	for i, filter := range filters {
		compiled, err := c.compile(filter, depth+1)
		if err != nil {
			return nil, err.at("[" + strconv.Itoa(i) + "]").at(dialect)
		}
		matchers = append(matchers, compiled)
	}
	return func(s *subject) bool {
		for _, matches := range matchers {
			if matches(s) == decides {
				return decides
			}
		}
		return !decides
	}, nil
}

var attributeName = regexp.MustCompile(`^[a-z][a-z0-9]*$`)

// compare compiles a comparison of attributes: each must pass.
func compare(dialect string, wanted map[string]string, passes func(value, wanted string) bool) (matcher, *Error) {
	names := slices.Sorted(maps.Keys(wanted))
	for _, name := range names {
		switch {
		case !attributeName.MatchString(name):
			return nil, refuse(fmt.Errorf("invalid attribute name %s: write a letter, then letters and digits, in lower case", quote(name))).at(dialect)
		case wanted[name] == "":
			return nil, refuse(errors.New("the value is empty, which no event passes: write a value")).at(name).at(dialect)
		}
	}
	return func(s *subject) bool {
		for _, name := range names {
			if value, found := s.lookup(name); !found || !passes(value, wanted[name]) {
				return false
			}
		}
		return true
	}, nil
}

// quote quotes a part of a filter in an error, shortened.
func quote(text string) string {
	const most = 64
	if len(text) > most {
		text = string(bytes.ToValidUTF8([]byte(text[:most]), nil)) + "…"
	}
	return strconv.QuoteToASCII(text)
}
