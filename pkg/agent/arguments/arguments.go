/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package arguments reads the agent's arguments: the one interface between the
// control plane and the agent, and what a person types to try it. Names are
// kept once released.
package arguments

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/sidenote-dev/sidenote/pkg/agent/event"
	"github.com/sidenote-dev/sidenote/pkg/agent/readiness"
	"github.com/sidenote-dev/sidenote/pkg/inference"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
	"github.com/sidenote-dev/sidenote/pkg/telemetry"
)

// Arguments are what the agent was told.
type Arguments struct {
	// Help asks for the usage text and nothing else.
	Help bool

	Port, AdminPort uint16
	Target          *url.URL
	Sinks           []Sink
	// ClusterDomain is the DNS domain of the cluster.
	ClusterDomain string
	// AllowLoopbackSinks is nil where each sink's own URL decides.
	AllowLoopbackSinks *bool

	Mode        event.Mode
	Events      []event.Kind
	ContentMode event.ContentMode
	Paths       inference.Paths

	Source           string
	InferenceService string
	Namespace        string
	Component        string
	Metadata         []metadata.Attribute
	MetadataDir      string

	MaxPayloadBytes int64
	BufferBytes     int64
	// MaxExchanges bounds the exchanges under way; 0 is no bound.
	MaxExchanges int64
	DrainTimeout time.Duration
	// LedgerInterval is the pace of ledger events.
	LedgerInterval time.Duration

	// StartupProbe may be nil.
	ReadinessProbe, StartupProbe *readiness.Probe

	LogLevel zapcore.Level

	// MetricsExport and TracesExport are valid.
	MetricsExport telemetry.Metrics
	TracesExport  telemetry.Traces
}

const helpArgument = "help"

// Bounds and defaults.
const (
	defaultPort            = 9081
	defaultAdminPort       = 9082
	defaultMaxPayloadBytes = 700 << 10
	defaultBufferBytes     = 32 << 20
	defaultMaxExchanges    = 512
	defaultDrainTimeout    = 30 * time.Second
	defaultLedgerInterval  = time.Minute
	defaultTarget          = "http://127.0.0.1:8080"
	defaultSource          = "sidenote-agent"
	defaultClusterDomain   = "cluster.local"

	minBufferBytes    = 64 << 10
	minLedgerInterval = time.Second
	maxBytes          = 1 << 40
	maxMaxExchanges   = 1 << 30
)

func defaults() Arguments {
	return Arguments{
		Port:            defaultPort,
		AdminPort:       defaultAdminPort,
		Target:          &url.URL{Scheme: "http", Host: "127.0.0.1:8080"},
		Mode:            event.ModeAll,
		Events:          event.DefaultKinds(),
		ContentMode:     event.ContentModeAuto,
		ClusterDomain:   defaultClusterDomain,
		Source:          defaultSource,
		MaxPayloadBytes: defaultMaxPayloadBytes,
		BufferBytes:     defaultBufferBytes,
		MaxExchanges:    defaultMaxExchanges,
		DrainTimeout:    defaultDrainTimeout,
		LedgerInterval:  defaultLedgerInterval,
		LogLevel:        zapcore.InfoLevel,
		MetricsExport:   telemetry.Metrics{Protocol: telemetry.Prometheus},
		TracesExport:    telemetry.Traces{Protocol: telemetry.None},
	}
}

// Parse reads the arguments of a command line, without the program's name. An
// error names the argument and what to write.
func Parse(line []string) (*Arguments, error) {
	arguments := defaults()
	sinks := newSinkSet()
	for len(line) > 0 {
		name, value, rest, err := cut(line)
		if err != nil {
			return nil, err
		}
		if name == helpArgument {
			arguments.Help = true
			return &arguments, nil
		}
		if err := set(&arguments, sinks, name, value); err != nil {
			return nil, fmt.Errorf("argument --%s: %w", name, err)
		}
		line = rest
	}
	resolved, err := sinks.resolve()
	if err != nil {
		return nil, err
	}
	arguments.Sinks = resolved
	if err := metadata.Validate(arguments.Metadata); err != nil {
		return nil, fmt.Errorf("argument --metadata: %w", err)
	}
	if err := arguments.MetricsExport.Validate(); err != nil {
		return nil, fmt.Errorf("arguments --metrics-*: %w", err)
	}
	if err := arguments.TracesExport.Validate(); err != nil {
		return nil, fmt.Errorf("arguments --tracing-*: %w", err)
	}
	if arguments.ReadinessProbe == nil {
		port, err := portOf(arguments.Target)
		if err != nil {
			return nil, fmt.Errorf("argument --target: %w", err)
		}
		arguments.ReadinessProbe = readiness.DialProbe(port)
	}
	if arguments.Port == arguments.AdminPort {
		return nil, fmt.Errorf("arguments --port and --admin-port: both are %d: write two different ports", arguments.Port)
	}
	return &arguments, nil
}

// cut takes "--name=value" or "--name value" off a command line.
func cut(line []string) (name, value string, rest []string, err error) {
	name, value, hasValue := strings.Cut(line[0], "=")
	if name == "-h" || name == "--help" {
		return helpArgument, "", nil, nil
	}
	written := name
	name, dashed := strings.CutPrefix(name, "--")
	switch {
	case !dashed, strings.ContainsFunc(name, neverInAName):
		return "", "", nil, fmt.Errorf("%q is no argument: write --name=value, see --help", written)
	case !known(name):
		return "", "", nil, unknown(name)
	case hasValue:
		return name, value, line[1:], nil
	case len(line) < 2:
		return "", "", nil, fmt.Errorf("argument --%s has no value: write --%s=value", name, name)
	default:
		return name, line[1], line[2:], nil
	}
}

func neverInAName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.'
}

func unknown(name string) error {
	return fmt.Errorf("unknown argument --%s: see --help for those there are", name)
}

func known(name string) bool {
	if name == "sink" || strings.HasPrefix(name, sinkOptionPrefix) {
		return true
	}
	for _, argument := range table {
		if argument.name == name {
			return true
		}
	}
	return false
}

func set(arguments *Arguments, sinks *sinkSet, name, value string) error {
	if name == "sink" {
		return sinks.add(value)
	}
	if option, ok := strings.CutPrefix(name, sinkOptionPrefix); ok {
		return sinks.option(option, value)
	}
	for _, argument := range table {
		if argument.name == name {
			return argument.set(arguments, value)
		}
	}
	return unknown(name)
}
