/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package agentconfig is the contract between the control plane and the agent:
// the agent's configuration, its bounds and defaults, and its form as
// arguments. The controller fills a Config and writes Args, the agent reads
// them by Parse, and admission takes its bounds from here. The package is pure
// and knows neither Kubernetes nor the agent. Names are kept once released.
package agentconfig

import (
	"cmp"
	"net/url"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/sidenote-dev/sidenote/internal/inference"
	"github.com/sidenote-dev/sidenote/internal/telemetry"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// Defaults.
const (
	DefaultPort            = 9081
	DefaultAdminPort       = 9082
	DefaultMaxPayloadBytes = 700 << 10

	defaultTargetHost     = "127.0.0.1:8080"
	defaultSource         = "sidenote-agent"
	defaultClusterDomain  = "cluster.local"
	defaultBufferBytes    = 32 << 20
	defaultMaxExchanges   = 512
	defaultDrainTimeout   = 30 * time.Second
	defaultLedgerInterval = time.Minute
)

// Bounds.
const (
	// MinBufferBytes is the least of BufferBytes.
	MinBufferBytes = 64 << 10

	// MaxSamplingOneIn is the most of Sampling.OneIn.
	MaxSamplingOneIn = PercentUnits
	// GreatestMaxEventsPerSecond is the most of MaxEventsPerSecond.
	GreatestMaxEventsPerSecond = 1_000_000

	minLedgerInterval = time.Second
	maxBytes          = 1 << 40
	maxExchanges      = 1 << 30
)

// Config is an agent's configuration. A zero field means the agent's default.
// Parse fills the defaults in.
type Config struct {
	Port, AdminPort uint16
	// Target is the model.
	Target *url.URL
	Sinks  []Sink
	// ClusterDomain is the DNS domain of the cluster.
	ClusterDomain string
	// AllowLoopbackSinks is nil where each sink's own URL decides, also after
	// Parse.
	AllowLoopbackSinks *bool

	Mode        Mode
	Events      []Kind
	ContentMode ContentMode
	Paths       inference.Paths

	Source           string
	InferenceService string
	Namespace        string
	Component        string
	Metadata         []metadata.Attribute
	MetadataDir      string
	// MetadataHeaders are the headers of a request whose values become attributes.
	MetadataHeaders []HeaderSource
	// DeniedValues are regular expressions. The value of a header that matches one
	// becomes no attribute. Without any, those of metadata.DefaultDeniedValues hold,
	// also after Parse.
	DeniedValues []string

	Streams  Streams
	Sampling Sampling
	// MaxEventsPerSecond bounds the events; 0 is no bound.
	MaxEventsPerSecond int64

	MaxPayloadBytes int64
	BufferBytes     int64
	// MaxExchanges bounds the exchanges in flight; 0 is no bound.
	MaxExchanges *int64
	DrainTimeout *time.Duration
	// LedgerInterval is the time between two ledger events.
	LedgerInterval time.Duration

	// StartupProbe is nil if there is none, also after Parse.
	ReadinessProbe, StartupProbe *Probe

	LogLevel zapcore.Level

	MetricsExport telemetry.Metrics
	TracesExport  telemetry.Traces
}

// HeaderSource says which header of a request gives the value of which attribute.
type HeaderSource struct{ Attribute, Header string }

// Sampling says which exchanges give events. The zero value selects all.
type Sampling struct {
	// Percent is the share of the exchanges, above 0 and up to 100, and OneIn selects
	// one of so many. At most one of them is not 0.
	Percent float64
	OneIn   int64
	// KeepFailures and KeepSlowerThan select all exchanges that failed or took longer,
	// beside those. A KeepSlowerThan of 0 selects none.
	KeepFailures   bool
	KeepSlowerThan time.Duration
}

// setDefaults sets every field with a default but ReadinessProbe, which
// follows from Target.
func (c *Config) setDefaults() {
	c.Port = cmp.Or(c.Port, DefaultPort)
	c.AdminPort = cmp.Or(c.AdminPort, DefaultAdminPort)
	c.Target = cmp.Or(c.Target, &url.URL{Scheme: "http", Host: defaultTargetHost})
	c.ClusterDomain = cmp.Or(c.ClusterDomain, defaultClusterDomain)
	c.Mode = cmp.Or(c.Mode, ModeAll)
	for i := range c.Sinks {
		c.Sinks[i].setContentDefaults(c)
	}
	if len(c.Events) == 0 {
		c.Events = c.Sampling.defaultKinds()
	}
	c.ContentMode = cmp.Or(c.ContentMode, ContentModeAuto)
	c.Streams = cmp.Or(c.Streams, StreamFrames)
	c.Source = cmp.Or(c.Source, defaultSource)
	c.MaxPayloadBytes = cmp.Or(c.MaxPayloadBytes, DefaultMaxPayloadBytes)
	c.BufferBytes = cmp.Or(c.BufferBytes, defaultBufferBytes)
	c.MaxExchanges = cmp.Or(c.MaxExchanges, new(int64(defaultMaxExchanges)))
	c.DrainTimeout = cmp.Or(c.DrainTimeout, new(defaultDrainTimeout))
	c.LedgerInterval = cmp.Or(c.LedgerInterval, defaultLedgerInterval)
	c.MetricsExport.Protocol = cmp.Or(c.MetricsExport.Protocol, telemetry.Prometheus)
	c.TracesExport.Protocol = cmp.Or(c.TracesExport.Protocol, telemetry.None)
	for i := range c.Sinks {
		c.Sinks[i].setDefaults(DefaultSinkName)
	}
}
