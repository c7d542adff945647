/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agentconfig

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/sidenote-dev/sidenote/internal/eventfilter"
	"github.com/sidenote-dev/sidenote/internal/sinkaddress"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// text is the form of a V in an argument.
type text[V any] struct {
	parse  func(string) (V, error)
	format func(V) string
}

func choice[V ~string](what string, values []V) text[V] {
	return text[V]{
		parse:  func(s string) (V, error) { return parseOneOf(what, s, values) },
		format: func(v V) string { return string(v) },
	}
}

// anyOf takes any text.
func anyOf[V ~string]() text[V] {
	return text[V]{
		parse:  func(s string) (V, error) { return V(s), nil },
		format: func(v V) string { return string(v) },
	}
}

// integer is a number within bounds, which are part of errors.
func integer[V int | int64 | uint16](what string, least, most V) text[V] {
	return text[V]{
		parse: func(s string) (V, error) {
			n, err := strconv.ParseInt(s, 10, 64)
			if err != nil || n < int64(least) || n > int64(most) {
				return 0, fmt.Errorf("invalid %s %q: must be %d to %d", what, s, least, most)
			}
			return V(n), nil
		},
		format: func(v V) string { return strconv.FormatInt(int64(v), 10) },
	}
}

func bytesFrom(least int64) text[int64] { return integer("number of bytes", least, maxBytes) }

func durationFrom(least time.Duration) text[time.Duration] {
	return text[time.Duration]{
		parse: func(s string) (time.Duration, error) {
			duration, err := time.ParseDuration(s)
			if err != nil || duration < least {
				return 0, fmt.Errorf("invalid duration %q: must be a duration of at least %s, such as 30s", s, least)
			}
			return duration, nil
		},
		format: time.Duration.String,
	}
}

// durationWithin is a duration within bounds.
func durationWithin(least, most time.Duration) text[time.Duration] {
	return text[time.Duration]{
		parse: func(s string) (time.Duration, error) {
			duration, err := time.ParseDuration(s)
			if err != nil || duration < least || duration > most {
				return 0, fmt.Errorf("invalid duration %q: must be %s to %s, such as 2s", s, least, most)
			}
			return duration, nil
		},
		format: time.Duration.String,
	}
}

// checked is any text that the check accepts.
func checked(check func(string) error) text[string] {
	return text[string]{
		parse:  func(s string) (string, error) { return s, check(s) },
		format: func(s string) string { return s },
	}
}

var (
	anyText = anyOf[string]()
	port    = integer[uint16]("port", 1, 65535)
	// attributeValue is the value of an attribute of every event.
	attributeValue = checked(metadata.ValidateValue)
	domain         = checked(checkDomain)
	filter         = checked(checkFilter)
	source         = checked(checkSource)
	target         = text[*url.URL]{parseTarget, (*url.URL).String}
	sinkURL        = text[*url.URL]{parseSinkURL, (*url.URL).String}
	probe          = text[*Probe]{ParseProbe, formatProbe}
	boolean        = oneOfTwo("false", "true")
	// dropNewest says which events a full spool drops.
	dropNewest = oneOfTwo("oldest", "newest")
	rate       = text[float64]{parseRate, func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }}
	percent    = text[float64]{ParsePercent, func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }}
	logLevel   = text[zapcore.Level]{parseLevel, zapcore.Level.String}

	domainPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)
)

// oneOfTwo is the form of a bool.
func oneOfTwo(no, yes string) text[bool] {
	return text[bool]{
		parse: func(s string) (bool, error) {
			v, err := parseOneOf("value", s, []string{no, yes})
			return v == yes, err
		},
		format: func(v bool) string {
			if v {
				return yes
			}
			return no
		},
	}
}

func parseRate(s string) (float64, error) {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, fmt.Errorf("invalid rate %q: must be a number from 0 to 1", s)
	}
	return v, nil
}

func parseHeaderSource(s string) (HeaderSource, error) {
	attribute, header, found := strings.Cut(s, "=")
	if !found {
		return HeaderSource{}, errors.New("missing \"=\": write attribute=header")
	}
	return HeaderSource{Attribute: attribute, Header: header}, nil
}

func parseLevel(s string) (zapcore.Level, error) {
	level, err := zapcore.ParseLevel(s)
	if err != nil || level > zapcore.ErrorLevel {
		return 0, fmt.Errorf("invalid level %q: must be debug, info, warn or error", s)
	}
	return level, nil
}

func checkDomain(s string) error {
	if !domainPattern.MatchString(s) {
		return fmt.Errorf("invalid domain %q: must be a DNS domain such as %s", s, defaultClusterDomain)
	}
	return nil
}

func checkFilter(s string) error {
	_, err := eventfilter.Compile(s)
	return err
}

func checkSource(s string) error {
	if _, err := url.Parse(s); err != nil || s == "" || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' }) {
		return errors.New("invalid source: must be a URI reference, such as my-model-predictor-default")
	}
	return nil
}

// parseTarget never quotes the value: a query may be a secret.
func parseTarget(s string) (*url.URL, error) {
	parsed, err := url.Parse(s)
	if err != nil || parsed.Scheme != "http" || parsed.Host == "" || strings.Trim(parsed.Path, "/") != "" || parsed.RawQuery != "" {
		return nil, errors.New("invalid URL of a model: must be http://host:port")
	}
	return parsed, nil
}

// parseSinkURL doesn't either.
func parseSinkURL(s string) (*url.URL, error) {
	parsed, err := sinkaddress.ParseURL(s)
	switch {
	case errors.Is(err, sinkaddress.ErrUser):
		return nil, errors.New("invalid URL of a sink: has a user: remove it and use --sink.NAME.token-file")
	case errors.Is(err, sinkaddress.ErrFragment):
		return nil, errors.New("invalid URL of a sink: has a fragment, which is never sent: remove it")
	case err != nil:
		return nil, errors.New("invalid sink: must be an http or https URL, or stdout for --sink")
	}
	return parsed, nil
}
