/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agentconfig

import (
	"cmp"
	"net/url"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/sidenote-dev/sidenote/internal/telemetry"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// argument is one row of a table: how a part of a T is named, read and written.
type argument[T any] struct {
	name, format, doc string
	codec[T]
}

// codec reads a part of a T from the value of an argument. It writes a value for
// each time that the argument is to be given: none where the part is left to the
// default.
type codec[T any] struct {
	read  func(*T, string) error
	write func(*T) []string
}

// field is the codec of a field that is unset where it is zero.
func field[T any, V comparable](at func(*T) *V, as text[V]) codec[T] {
	return codec[T]{
		read: func(t *T, s string) (err error) { *at(t), err = as.parse(s); return err },
		write: func(t *T) []string {
			var unset V
			if value := *at(t); value != unset {
				return []string{as.format(value)}
			}
			return nil
		},
	}
}

// optional is the codec of a field that is unset where it is nil.
func optional[T, V any](at func(*T) **V, as text[V]) codec[T] {
	return field(at, text[*V]{
		parse:  func(s string) (*V, error) { value, err := as.parse(s); return &value, err },
		format: func(value *V) string { return as.format(*value) },
	})
}

// within is the codec of a part of a P that a T may have.
func within[T, P any](at func(*T) **P, of codec[P]) codec[T] {
	return codec[T]{
		read: func(t *T, s string) error {
			part := at(t)
			*part = cmp.Or(*part, new(P))
			return of.read(*part, s)
		},
		write: func(t *T) []string {
			if *at(t) == nil {
				return nil
			}
			return of.write(*at(t))
		},
	}
}

// kindsOf is the codec of a list of kinds.
func kindsOf[T any](at func(*T) *[]Kind) codec[T] {
	return codec[T]{
		read: func(t *T, s string) (err error) { *at(t), err = ParseKinds(s); return err },
		write: func(t *T) []string {
			if kinds := *at(t); len(kinds) > 0 {
				return []string{FormatKinds(kinds)}
			}
			return nil
		},
	}
}

// The tables, in the order in which Args writes them: the sinks stand between
// the two.
var (
	exchangeArguments = []argument[Config]{
		{"port", "PORT", "port for the model's requests, on 127.0.0.1 only: HTTP/1.1 and HTTP/2 without TLS",
			field(func(c *Config) *uint16 { return &c.Port }, port)},
		{"admin-port", "PORT", "port of /readyz (the model is ready), /healthz (the agent runs), /metrics and /status, on every address",
			field(func(c *Config) *uint16 { return &c.AdminPort }, port)},
		{"target", "URL", "URL of the model",
			field(func(c *Config) **url.URL { return &c.Target }, target)},
		{"source", "NAME", "attribute source of the events, a URI reference",
			field(func(c *Config) *string { return &c.Source }, source)},
		{"inference-service", "NAME", "attribute inferenceservicename of the events",
			field(func(c *Config) *string { return &c.InferenceService }, attributeValue)},
		{"namespace", "NAME", "attribute namespace of the events",
			field(func(c *Config) *string { return &c.Namespace }, attributeValue)},
		{"component", "NAME", "attribute component of the events",
			field(func(c *Config) *string { return &c.Component }, attributeValue)},
		{"mode", "MODE", "sides of an exchange that are sent: all, request or response",
			field(func(c *Config) *Mode { return &c.Mode }, choice("mode", Modes()))},
		{"events", "LIST", "kinds of events that are sent, of " + join(Kinds(), ", "), kindsOf(func(c *Config) *[]Kind { return &c.Events })},
		{"paths", "PATTERN", "pattern that selects inference requests by path. May be given several times. * matches any characters, and a leading ! excludes paths. Without it, every path is inference, except health probes, requests for metadata and metrics scrapes", codec[Config]{
			func(c *Config, s string) error { return c.Paths.Add(s) },
			func(c *Config) []string { return c.Paths.Patterns() },
		}},
		{"streams", "FORM", "data of a stream event: frames, the frames as the model sent them, or merged, the merged response of the OpenAI and Anthropic APIs",
			field(func(c *Config) *Streams { return &c.Streams }, choice("form", StreamForms()))},
		{"sampling-percent", "PERCENT", "share of the exchanges that give events, above 0 and up to 100, with at most four digits after the point (default 100)",
			field(func(c *Config) *float64 { return &c.Sampling.Percent }, percent)},
		{"sampling-one-in", "NUMBER", "one of so many exchanges gives events. Must not be combined with --sampling-percent",
			field(func(c *Config) *int64 { return &c.Sampling.OneIn }, integer[int64]("number", 1, MaxSamplingOneIn))},
		{"keep-failures", "BOOL", "whether every exchange that fails gives events, beside those that sampling selects: true or false (default false). Without --events it adds request.failure and response.failure to them",
			field(func(c *Config) *bool { return &c.Sampling.KeepFailures }, boolean)},
		{"keep-slower-than", "DURATION", "every exchange that takes longer gives events, beside those that sampling selects",
			field(func(c *Config) *time.Duration { return &c.Sampling.KeepSlowerThan }, durationWithin(MinKeepSlowerThan, MaxKeepSlowerThan))},
		{"max-events-per-second", "NUMBER", "upper bound of the events in a second. Further events are dropped and counted",
			field(func(c *Config) *int64 { return &c.MaxEventsPerSecond }, integer[int64]("number", 1, GreatestMaxEventsPerSecond))},
		{"content-mode", "MODE", "encoding of events: binary, structured, or auto, which is binary if headers can carry the attributes unchanged",
			field(func(c *Config) *ContentMode { return &c.ContentMode }, choice("content mode", ContentModes()))},
		{"max-payload-bytes", "BYTES", "largest body that an event carries",
			field(func(c *Config) *int64 { return &c.MaxPayloadBytes }, bytesFrom(1))},
		{"buffer-bytes", "BYTES", "budget of memory for events, including bodies",
			field(func(c *Config) *int64 { return &c.BufferBytes }, bytesFrom(MinBufferBytes))},
		{"max-exchanges", "NUMBER", "largest number of exchanges in flight. The agent responds to further requests with 503. Plan 96 KiB of memory for each. A long head counts as several exchanges. 0 means no limit",
			optional(func(c *Config) **int64 { return &c.MaxExchanges }, integer[int64]("number", 0, maxExchanges))},
		{"readiness-probe", "JSON", "readiness probe of the model: a Kubernetes Probe with httpGet, tcpSocket or grpc and a numeric port. Without it the agent dials the target",
			field(func(c *Config) **Probe { return &c.ReadinessProbe }, probe)},
		{"startup-probe", "JSON", "startup probe of the model, in the same form",
			field(func(c *Config) **Probe { return &c.StartupProbe }, probe)},
		{"drain-timeout", "DURATION", "time for delivery after SIGTERM, from the end of the last exchange. Exchanges have no time limit. A second SIGTERM ends exchanges and delivery at once",
			optional(func(c *Config) **time.Duration { return &c.DrainTimeout }, durationFrom(0))},
		{"ledger-interval", "DURATION", "time between two ledger events, if --events selects them and there is news: at least " + minLedgerInterval.String(),
			field(func(c *Config) *time.Duration { return &c.LedgerInterval }, durationFrom(minLedgerInterval))},
	}

	outputArguments = []argument[Config]{
		{"metrics-protocol", "PROTOCOL", "export of metrics: prometheus serves them at /metrics of the admin port, grpc and http/protobuf send them to a collector (OTLP), none does neither",
			field(func(c *Config) *telemetry.Protocol { return &c.MetricsExport.Protocol }, anyOf[telemetry.Protocol]())},
		{"metrics-endpoint", "URL", "collector of metrics: http://host:4317 for grpc, http://host:4318/v1/metrics for http/protobuf. Without a scheme the agent uses TLS",
			field(func(c *Config) *string { return &c.MetricsExport.Endpoint }, anyText)},
		{"metrics-export-interval", "DURATION", "time between two exports (default 60s)",
			field(func(c *Config) *time.Duration { return &c.MetricsExport.Interval }, durationFrom(0))},
		{"tracing-protocol", "PROTOCOL", "export of traces: none, grpc, http/protobuf or stdout",
			field(func(c *Config) *telemetry.Protocol { return &c.TracesExport.Protocol }, anyOf[telemetry.Protocol]())},
		{"tracing-endpoint", "URL", "collector of traces: http://host:4317 for grpc, http://host:4318/v1/traces for http/protobuf. Without a scheme the agent uses TLS",
			field(func(c *Config) *string { return &c.TracesExport.Endpoint }, anyText)},
		{"tracing-sampling-rate", "RATE", "share of the exchanges without a trace context that are traced, from 0 to 1. An exchange with a trace context is traced if the context is sampled. 0 disables tracing. With stdout, every exchange without a trace context is traced", codec[Config]{
			func(c *Config, s string) (err error) { c.TracesExport.SamplingRate, err = rate.parse(s); return err },
			func(c *Config) []string {
				if c.TracesExport == (telemetry.Traces{}) {
					return nil
				}
				return []string{rate.format(c.TracesExport.SamplingRate)}
			},
		}},
		{"metadata", "ATTRIBUTE=VALUE", "attribute of every event. May be given several times. The value is everything after the first =", codec[Config]{
			func(c *Config, s string) error {
				attribute, err := metadata.ParseArgument(s)
				c.Metadata = append(c.Metadata, attribute)
				return err
			},
			func(c *Config) (values []string) {
				for _, attribute := range c.Metadata {
					values = append(values, attribute.Argument())
				}
				return values
			},
		}},
		{"metadata-dir", "DIR", "directory that the agent watches for a file " + metadata.FileName + ", a flat JSON object of attribute to value. It replaces --metadata",
			field(func(c *Config) *string { return &c.MetadataDir }, anyText)},
		{"metadata-header", "ATTRIBUTE=HEADER", "attribute of every event of an exchange, with the value of a header of the request. May be given several times", codec[Config]{
			func(c *Config, s string) error {
				source, err := parseHeaderSource(s)
				c.MetadataHeaders = append(c.MetadataHeaders, source)
				return err
			},
			func(c *Config) (values []string) {
				for _, source := range c.MetadataHeaders {
					values = append(values, source.Attribute+"="+source.Header)
				}
				return values
			},
		}},
		{"denied-value", "PATTERN", "regular expression (RE2) of values that never become attributes by --metadata-header. May be given several times. Without it, private keys, bearer tokens, JSON Web Tokens and keys of clouds are denied", codec[Config]{
			func(c *Config, s string) error {
				c.DeniedValues = append(c.DeniedValues, s)
				_, err := metadata.ParseDeniedValue(s)
				return err
			},
			func(c *Config) []string { return c.DeniedValues },
		}},
		{"log-level", "LEVEL", "debug, info, warn or error (default info). Logs go to stderr",
			field(func(c *Config) *zapcore.Level { return &c.LogLevel }, logLevel)},
	}
)
