/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package arguments

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sidenote-dev/sidenote/pkg/agent/delivery"
	"github.com/sidenote-dev/sidenote/pkg/sinkaddress"
)

// Sink is where events go.
type Sink struct {
	// Name is unique among an agent's sinks.
	Name string
	// URL is nil for the standard output, and may be where AddressFile says it.
	URL *url.URL
	// AddressFile says where the sink is while the agent runs, in the place of
	// URL.
	AddressFile string
	// CACerts is a PEM bundle; CACertsFile the path of one.
	CACerts, CACertsFile string
	// CACertsDir has further bundles, one in each file.
	CACertsDir string
	// TokenFile has a bearer token for the sink.
	TokenFile string
	// TokenAudience is that of the token, where it goes only to a sink whose
	// AddressFile asks for it.
	TokenAudience string

	// Schedule says how often and when a failed event is tried again.
	Schedule delivery.Schedule
	// Timeout bounds one attempt.
	Timeout time.Duration
	// RetryAfterMax caps a Retry-After; 0 ignores it.
	RetryAfterMax time.Duration
	// DeadLetter is where events go that the sink doesn't take, or nil.
	DeadLetter *Sink
	// Spool keeps what waits for the sink on a disk, or is nil.
	Spool *Spool
}

func newSink(name string) Sink {
	return Sink{Name: name, Timeout: defaultTimeout, RetryAfterMax: delivery.DefaultRetryAfterMax}
}

// Stdout says whether the sink is the standard output.
func (s Sink) Stdout() bool { return s.URL == nil && s.AddressFile == "" }

const (
	defaultSinkName  = "default"
	sinkOptionPrefix = "sink."
	stdoutSink       = "stdout"
	deadLetterName   = ".dead-letter"
	defaultTimeout   = 30 * time.Second
	maxRetries       = 1000

	addressFileOption = "address-file"
)

var (
	namedSinkPattern = regexp.MustCompile(`^([a-z0-9][a-z0-9-]{0,62})=(.*)$`)
	sinkNamePattern  = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
)

type sinkOption struct {
	name, value, help string
	set               func(*Sink, string) error
}

var sinkOptions = append([]sinkOption{
	{
		"ca-certs", "PEM", "certificates that are trusted for the sink beside the system's",
		func(s *Sink, v string) error { s.CACerts = v; return nil },
	},
	{
		"ca-certs-file", "FILE", "the same, from a file",
		func(s *Sink, v string) error { s.CACertsFile = v; return nil },
	},
	{
		"ca-certs-dir", "DIR", "the same, from every file of a directory that need not be there yet; file and directory are read again when they change",
		func(s *Sink, v string) error { s.CACertsDir = v; return nil },
	},
	{
		"token-file", "FILE", "a bearer token, read again when it changes; sent only over https or to a host of the cluster",
		func(s *Sink, v string) error { s.TokenFile = v; return nil },
	},
	{
		addressFileOption, "FILE", "a file with the sink's present address, which replaces the URL: a JSON object with url, and with audience if the sink asks for a token. The file need not exist yet. While events are sent it is read at most once a second. An object without url means that the sink has no address. --sink=NAME=URL may be left out",
		func(s *Sink, v string) error { s.AddressFile = v; return nil },
	},
	{
		"token-audience", "AUDIENCE", "the token's audience. With address-file, the token is sent only while the file has this audience",
		func(s *Sink, v string) error { s.TokenAudience = v; return nil },
	},
	{
		"retry", "COUNT", "how often a failed event is tried again; without it, as often as there is time for in 10 minutes",
		func(s *Sink, v string) error {
			count, err := strconv.Atoi(v)
			if err != nil || count < 0 || count > maxRetries {
				return fmt.Errorf("retry is no count: write a number from 0 to %d", maxRetries)
			}
			s.Schedule.Retries = &count
			return nil
		},
	},
	{
		"backoff-policy", "POLICY", "how the wait before a retry grows: linear or exponential (default exponential, where retry or backoff-delay is given)",
		func(s *Sink, v string) error {
			s.Schedule.Policy = delivery.BackoffPolicy(v)
			if s.Schedule.Policy != delivery.BackoffLinear && s.Schedule.Policy != delivery.BackoffExponential {
				return errors.New("backoff-policy is none: write linear or exponential")
			}
			return nil
		},
	},
	{
		"backoff-delay", "DURATION", "the wait before the first retry (default 200ms, where retry or backoff-policy is given)",
		func(s *Sink, v string) error {
			delay, err := parseDuration(v)
			s.Schedule.Delay = &delay
			return err
		},
	},
	{
		"timeout", "DURATION", "how long one attempt may take (default 30s)",
		func(s *Sink, v string) (err error) {
			if s.Timeout, err = parseDuration(v); err == nil && s.Timeout == 0 {
				return errors.New("timeout is 0: write for example 30s")
			}
			return err
		},
	},
	{
		"retry-after-max", "DURATION", "how long a Retry-After counts at most; 0s ignores it (default 20s)",
		func(s *Sink, v string) (err error) { s.RetryAfterMax, err = parseDuration(v); return err },
	},
	{
		"dead-letter", "URL", "where events go that this sink refused, or didn't take in time",
		func(s *Sink, v string) (err error) { s.deadLetter().URL, err = parseSinkURL(v); return err },
	},
	{
		"dead-letter.ca-certs", "PEM", "as ca-certs, for that URL",
		func(s *Sink, v string) error { s.deadLetter().CACerts = v; return nil },
	},
	{
		"dead-letter.ca-certs-dir", "DIR", "as ca-certs-dir, for that URL",
		func(s *Sink, v string) error { s.deadLetter().CACertsDir = v; return nil },
	},
	{
		"dead-letter.token-file", "FILE", "as token-file, for that URL",
		func(s *Sink, v string) error { s.deadLetter().TokenFile = v; return nil },
	},
	{
		"dead-letter.address-file", "FILE", "as address-file, for that URL",
		func(s *Sink, v string) error { s.deadLetter().AddressFile = v; return nil },
	},
	{
		"dead-letter.token-audience", "AUDIENCE", "as token-audience, for that URL",
		func(s *Sink, v string) error { s.deadLetter().TokenAudience = v; return nil },
	},
}, spoolOptions...)

func (s *Sink) deadLetter() *Sink {
	if s.DeadLetter == nil {
		letters := newSink(s.Name + deadLetterName)
		s.DeadLetter = &letters
	}
	return s.DeadLetter
}

// sinkSet collects sinks and their options, in any order.
type sinkSet struct {
	sinks []Sink
	// options by sink name, applied when all sinks are known.
	options map[string][]func(*Sink) error
	// elsewhere are the sinks with an address-file, in the order given.
	elsewhere []string
}

func newSinkSet() *sinkSet { return &sinkSet{options: make(map[string][]func(*Sink) error)} }

func (s *sinkSet) add(value string) error {
	sink := newSink(defaultSinkName)
	address := value
	if named := namedSinkPattern.FindStringSubmatch(value); named != nil {
		sink.Name, address = named[1], named[2]
	}
	if address != stdoutSink {
		parsed, err := parseSinkURL(address)
		if err != nil {
			return err
		}
		sink.URL = parsed
	}
	for _, other := range s.sinks {
		if other.Name == sink.Name {
			return fmt.Errorf("sink %q is given twice: name each one, --sink=NAME=URL", sink.Name)
		}
	}
	s.sinks = append(s.sinks, sink)
	return nil
}

// parseSinkURL never quotes the value: a query may be a secret.
func parseSinkURL(text string) (*url.URL, error) {
	parsed, err := sinkaddress.ParseURL(text)
	switch {
	case errors.Is(err, sinkaddress.ErrUser):
		return nil, errors.New("has a user in its URL: write --sink.NAME.token-file instead")
	case errors.Is(err, sinkaddress.ErrFragment):
		return nil, errors.New("has a fragment, which is never sent: leave it out")
	case err != nil:
		return nil, errors.New("is no sink: write stdout, or an http or https URL")
	}
	return parsed, nil
}

// option takes "NAME.OPTION".
func (s *sinkSet) option(path, value string) error {
	name, optionName, found := strings.Cut(path, ".")
	if !found || !sinkNamePattern.MatchString(name) {
		return errors.New("is no option of a sink: write --sink.NAME.OPTION=value")
	}
	names := make([]string, 0, len(sinkOptions))
	for _, option := range sinkOptions {
		if option.name == optionName {
			if optionName == addressFileOption && !slices.Contains(s.elsewhere, name) {
				s.elsewhere = append(s.elsewhere, name)
			}
			s.options[name] = append(s.options[name], func(sink *Sink) error { return option.set(sink, value) })
			return nil
		}
		names = append(names, option.name)
	}
	return fmt.Errorf("there is no option %q: write one of %s", optionName, strings.Join(names, ", "))
}

func (s *sinkSet) resolve() ([]Sink, error) {
	for _, name := range s.elsewhere {
		switch sink := s.find(name); {
		case sink == nil:
			s.sinks = append(s.sinks, newSink(name))
		case sink.URL == nil:
			return nil, fmt.Errorf("argument --sink.%s: the standard output has no address: leave %s out", name, addressFileOption)
		}
	}
	for name, options := range s.options {
		sink := s.find(name)
		if sink == nil {
			return nil, fmt.Errorf("argument --sink.%s: there is no sink %q: write --sink=%s=URL", name, name, name)
		}
		for _, set := range options {
			if err := set(sink); err != nil {
				return nil, fmt.Errorf("argument --sink.%s: %w", name, err)
			}
		}
		if sink.DeadLetter != nil && sink.DeadLetter.Stdout() {
			return nil, fmt.Errorf("argument --sink.%s: there is no dead letter sink: write --sink.%s.dead-letter=URL", name, name)
		}
		if err := sink.Spool.validate(sink); err != nil {
			return nil, fmt.Errorf("argument --sink.%s: %w", name, err)
		}
	}
	if err := validateSpools(s.sinks); err != nil {
		return nil, err
	}
	return s.sinks, nil
}

func (s *sinkSet) find(name string) *Sink {
	for i := range s.sinks {
		if s.sinks[i].Name == name {
			return &s.sinks[i]
		}
	}
	return nil
}
