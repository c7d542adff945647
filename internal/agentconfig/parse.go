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
	"strings"

	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// ErrHelp is what Parse returns for --help and -h.
var ErrHelp = errors.New("help requested")

// ArgumentError says what is wrong with one argument.
type ArgumentError struct {
	// Name is without the leading dashes.
	Name string
	Err  error
}

func (e *ArgumentError) Error() string { return "argument --" + e.Name + ": " + e.Err.Error() }

// Unwrap returns the error without the argument's name.
func (e *ArgumentError) Unwrap() error { return e.Err }

const (
	sinkArgument = "sink"
	sinkPrefix   = sinkArgument + "."
	stdoutSink   = "stdout"
)

var (
	namedSinkPattern = regexp.MustCompile(`^([a-z0-9][a-z0-9-]{0,62})=(.*)$`)
	sinkNamePattern  = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
)

// Parse reads the arguments of a command line, without the program's name, and
// sets the defaults of those that are missing. An error names the argument and
// says what to write, on one line and without quoting what may be a secret.
func Parse(line []string) (*Config, error) {
	var p parser
	for len(line) > 0 {
		name, value, hasValue := strings.Cut(line[0], "=")
		line = line[1:]
		if name == "-h" || name == "--help" {
			return nil, ErrHelp
		}
		read, err := p.reader(name)
		if err != nil {
			return nil, err
		}
		name = name[len("--"):]
		if !hasValue {
			if len(line) == 0 {
				return nil, &ArgumentError{name, fmt.Errorf("missing value: write --%s=VALUE", name)}
			}
			value, line = line[0], line[1:]
		}
		if err := read(value); err != nil {
			return nil, &ArgumentError{name, err}
		}
	}
	return p.complete()
}

type parser struct {
	config Config
	// Sinks may have arguments before --sink, or an address file instead.
	sinks []*parsedSink
}

type parsedSink struct {
	Sink
	// listed says that --sink named it.
	listed bool
}

// reader returns what reads the value of an argument.
func (p *parser) reader(written string) (func(string) error, error) {
	name, dashed := strings.CutPrefix(written, "--")
	if !dashed || strings.ContainsFunc(name, neverInAName) {
		return nil, fmt.Errorf("invalid argument %q: must be --name=value, see --help", written)
	}
	if name == sinkArgument {
		return p.addSink, nil
	}
	if path, isSinks := strings.CutPrefix(name, sinkPrefix); isSinks {
		sinkName, option, _ := strings.Cut(path, ".")
		for _, row := range sinkArguments() {
			if row.name == option && sinkNamePattern.MatchString(sinkName) {
				return func(value string) error { return row.read(&p.sink(sinkName).Sink, value) }, nil
			}
		}
	}
	for _, row := range configArguments() {
		if row.name == name {
			return func(value string) error { return row.read(&p.config, value) }, nil
		}
	}
	return nil, fmt.Errorf("unknown argument --%s: see --help", name)
}

func neverInAName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.'
}

func (p *parser) sink(name string) *parsedSink {
	for _, sink := range p.sinks {
		if sink.Name == name {
			return sink
		}
	}
	sink := &parsedSink{Sink: Sink{Name: name}}
	p.sinks = append(p.sinks, sink)
	return sink
}

// addSink takes the value of --sink.
func (p *parser) addSink(value string) (err error) {
	name, address := DefaultSinkName, value
	if named := namedSinkPattern.FindStringSubmatch(value); named != nil {
		name, address = named[1], named[2]
	}
	var where *url.URL
	if address != stdoutSink {
		if where, err = sinkURL.parse(address); err != nil {
			return err
		}
	}
	sink := p.sink(name)
	if sink.listed {
		return fmt.Errorf("sink %q is given twice: name each one, --sink=NAME=URL", name)
	}
	sink.URL, sink.listed = where, true
	return nil
}

// complete checks what belongs together, and sets the defaults.
func (p *parser) complete() (*Config, error) {
	c := &p.config
	if err := p.completeSinks(); err != nil {
		return nil, err
	}
	c.setDefaults()
	if err := metadata.Validate(c.Metadata); err != nil {
		return nil, &ArgumentError{"metadata", err}
	}
	if err := c.Sampling.validate(); err != nil {
		return nil, err
	}
	if err := c.validateHeaders(); err != nil {
		return nil, &ArgumentError{"metadata-header", err}
	}
	if _, err := metadata.ParseDeniedValues(c.DeniedValues); err != nil {
		return nil, &ArgumentError{"denied-value", err}
	}
	if err := c.MetricsExport.Validate(); err != nil {
		return nil, &ArgumentError{"metrics-*", err}
	}
	if err := c.TracesExport.Validate(); err != nil {
		return nil, &ArgumentError{"tracing-*", err}
	}
	if c.ReadinessProbe == nil {
		modelPort := uint16(80)
		if written := c.Target.Port(); written != "" {
			var err error
			if modelPort, err = port.parse(written); err != nil {
				return nil, &ArgumentError{"target", err}
			}
		}
		c.ReadinessProbe = DialProbe(int32(modelPort))
	}
	if c.Port == c.AdminPort {
		return nil, &ArgumentError{"admin-port", fmt.Errorf("invalid port %d: must differ from --port", c.AdminPort)}
	}
	return c, nil
}

func (p *parser) completeSinks() error {
	var unlisted []Sink
	directories := make(map[string]string)
	for _, sink := range p.sinks {
		name := sinkPrefix + sink.Name
		switch {
		case !sink.listed && sink.AddressFile == "":
			return &ArgumentError{name, fmt.Errorf("unknown sink %q: write --sink=%s=URL", sink.Name, sink.Name)}
		case sink.listed && sink.URL == nil && sink.AddressFile != "":
			return &ArgumentError{name, errors.New("the standard output can't have an address: remove address-file")}
		}
		if err := sink.validate(); err != nil {
			return &ArgumentError{name, err}
		}
		if sink.Spool != nil {
			if owner, taken := directories[sink.Spool.Directory]; taken {
				return &ArgumentError{name + ".spool-dir", fmt.Errorf("sink %q has the same directory: must be a directory of its own", owner)}
			}
			directories[sink.Spool.Directory] = sink.Name
		}
		if sink.listed {
			p.config.Sinks = append(p.config.Sinks, sink.Sink)
		} else {
			unlisted = append(unlisted, sink.Sink)
		}
	}
	p.config.Sinks = append(p.config.Sinks, unlisted...)
	return nil
}
