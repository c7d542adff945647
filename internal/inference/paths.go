/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package inference decides which requests to a model are inference. It is pure.
// The webhook validates path patterns with it, and the agent selects requests
// with it.
package inference

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sidenote-dev/sidenote/internal/wildcard"
)

// Bounds of what one InferenceService may list.
const (
	MaxPatterns     = 32
	MaxPatternBytes = 256
)

// exclude begins a pattern of paths that are not inference.
const exclude = "!"

// Verdict says whether a request is inference, and why not. The set is closed.
type Verdict uint8

// The verdicts.
const (
	// Inference: its events are wanted.
	Inference Verdict = iota
	// Probe: it asks how the server or its models are, or scrapes metrics.
	Probe
	// OtherPath: the patterns leave its path out.
	OtherPath
)

// Paths are the patterns of the paths that are inference. The zero value has
// none: then every request is inference but for probes and scrapes.
type Paths struct {
	included, excluded []wildcard.Pattern
	// written are the patterns as they were added.
	written []string
}

// ParsePaths reads patterns such as "/v1/models/*:predict". Each * matches any
// characters, slashes included. A leading ! excludes paths. An error names the
// first invalid pattern by its place, from 1.
func ParsePaths(patterns []string) (Paths, error) {
	var paths Paths
	for i, text := range patterns {
		if err := paths.Add(text); err != nil {
			return Paths{}, fmt.Errorf("pattern %d: %w", i+1, err)
		}
	}
	return paths, nil
}

// Add reads one more pattern.
func (p *Paths) Add(text string) error {
	if err := ValidatePattern(text); err != nil {
		return err
	}
	if len(p.written) == MaxPatterns {
		return fmt.Errorf("more than %d patterns: write fewer, with * for any characters", MaxPatterns)
	}
	p.written = append(p.written, text)
	if excluded, ok := strings.CutPrefix(text, exclude); ok {
		p.excluded = append(p.excluded, wildcard.Parse(excluded))
	} else {
		p.included = append(p.included, wildcard.Parse(text))
	}
	return nil
}

// Patterns returns the patterns as they were added.
func (p Paths) Patterns() []string { return p.written }

// ValidatePattern returns an error if the text is not a valid pattern.
func ValidatePattern(text string) error {
	path := strings.TrimPrefix(text, exclude)
	switch {
	case len(text) > MaxPatternBytes:
		return fmt.Errorf("the pattern has %d bytes: write at most %d", len(text), MaxPatternBytes)
	case !strings.HasPrefix(path, "/") && !strings.HasPrefix(path, wildcard.Any):
		return errors.New("invalid pattern: must begin with / or *, or with ! and then one of them, such as /v1/models/*:predict")
	case !utf8.ValidString(path) || strings.ContainsFunc(path, unicode.IsControl):
		return errors.New("invalid pattern: must have printable characters only")
	case strings.ContainsAny(path, "?#"):
		return errors.New("only the path is matched: leave out the query")
	case strings.Contains(path, "%"):
		return errors.New("a pattern is compared with the path after percent-decoding: write the character itself")
	default:
		return nil
	}
}

// Judge decides from the head of a request whether it is inference. A chunked
// body may turn out to be empty: verdict applies if the body isn't empty, and
// ifEmpty if it is. For other requests the two are the same. Judge compares the
// decoded path, so that another encoding of the same path makes no difference.
func (p Paths) Judge(r *http.Request) (verdict, ifEmpty Verdict) {
	verdict = p.judge(r, r.ContentLength == 0)
	if r.ContentLength >= 0 {
		return verdict, verdict
	}
	return verdict, p.judge(r, true)
}

func (p Paths) judge(r *http.Request, empty bool) Verdict {
	path := r.URL.Path
	switch {
	case probes(r, empty):
		return Probe
	case matchAny(p.excluded, path):
		return OtherPath
	case len(p.included) > 0:
		if !matchAny(p.included, path) {
			return OtherPath
		}
		return Inference
	case asksForHealth(r, empty):
		return Probe
	default:
		return Inference
	}
}

func matchAny(patterns []wildcard.Pattern, path string) bool {
	for _, p := range patterns {
		if p.Match(path) {
			return true
		}
	}
	return false
}
