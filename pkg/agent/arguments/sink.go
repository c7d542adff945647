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
	"strings"
)

// Sink is where events go.
type Sink struct {
	// Name is unique among an agent's sinks.
	Name string
	// URL is nil for the standard output.
	URL *url.URL
	// CACerts is a PEM bundle; CACertsFile the path of one.
	CACerts, CACertsFile string
	// TokenFile has a bearer token for the sink.
	TokenFile string
}

// Stdout says whether the sink is the standard output.
func (s Sink) Stdout() bool { return s.URL == nil }

const (
	defaultSinkName  = "default"
	sinkOptionPrefix = "sink."
	stdoutSink       = "stdout"
)

var (
	namedSinkPattern = regexp.MustCompile(`^([a-z0-9][a-z0-9-]{0,62})=(.*)$`)
	sinkNamePattern  = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
)

type sinkOption struct {
	name, value, help string
	set               func(*Sink, string) error
}

var sinkOptions = []sinkOption{
	{
		"ca-certs", "PEM", "certificates that are trusted for the sink beside the system's",
		func(s *Sink, v string) error { s.CACerts = v; return nil },
	},
	{
		"ca-certs-file", "FILE", "the same, from a file",
		func(s *Sink, v string) error { s.CACertsFile = v; return nil },
	},
	{
		"token-file", "FILE", "a bearer token, read again when it changes; sent only over https or to a host of the cluster",
		func(s *Sink, v string) error { s.TokenFile = v; return nil },
	},
}

// sinkSet collects sinks and their options, in any order.
type sinkSet struct {
	sinks []Sink
	// options by sink name, applied when all sinks are known.
	options map[string][]func(*Sink) error
}

func newSinkSet() *sinkSet { return &sinkSet{options: make(map[string][]func(*Sink) error)} }

func (s *sinkSet) add(value string) error {
	sink := Sink{Name: defaultSinkName}
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
	parsed, err := url.Parse(text)
	switch {
	case err != nil, parsed.Scheme != "http" && parsed.Scheme != "https", parsed.Host == "":
		return nil, errors.New("is no sink: write stdout, or an http or https URL")
	case parsed.User != nil:
		return nil, errors.New("has a user in its URL: write --sink.NAME.token-file instead")
	case parsed.Fragment != "":
		return nil, errors.New("has a fragment, which is never sent: leave it out")
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
			s.options[name] = append(s.options[name], func(sink *Sink) error { return option.set(sink, value) })
			return nil
		}
		names = append(names, option.name)
	}
	return fmt.Errorf("there is no option %q: write one of %s", optionName, strings.Join(names, ", "))
}

func (s *sinkSet) resolve() ([]Sink, error) {
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
