/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package arguments

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/sidenote-dev/sidenote/pkg/agent/event"
	"github.com/sidenote-dev/sidenote/pkg/agent/readiness"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
	"github.com/sidenote-dev/sidenote/pkg/telemetry"
)

var domainPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)

// argument is one row of the table of arguments.
type argument struct {
	name, value, byDefault, help string
	set                          func(*Arguments, string) error
}

// table has every argument but those of the sinks, in the order of the help
// text.
var table = []argument{
	{
		"port", "PORT", "9081", "where it serves the model, on 127.0.0.1 only: HTTP/1.1 and HTTP/2 without TLS",
		func(a *Arguments, v string) (err error) { a.Port, err = parsePort(v); return err },
	},
	{
		"admin-port", "PORT", "9082", "where it answers /readyz (the model is ready), /healthz (the agent lives), /metrics and /status, on every address",
		func(a *Arguments, v string) (err error) { a.AdminPort, err = parsePort(v); return err },
	},
	{
		"target", "URL", defaultTarget, "the model",
		func(a *Arguments, v string) (err error) { a.Target, err = parseTarget(v); return err },
	},
	{
		"cluster-domain", "DOMAIN", defaultClusterDomain, "the cluster's DNS domain: without TLS a token goes only to hosts under .svc and under .svc.DOMAIN",
		func(a *Arguments, v string) error {
			if !domainPattern.MatchString(v) {
				return fmt.Errorf("%q is no domain: write for example %s", v, defaultClusterDomain)
			}
			a.ClusterDomain = v
			return nil
		},
	},
	{
		"allow-loopback-sinks", "BOOL", "", "whether a sink may be on this machine: true or false; without it, where its own URL says so, as http://localhost does. Link-local addresses and those of metadata services are always refused",
		func(a *Arguments, v string) error {
			allow, err := parseBool(v)
			a.AllowLoopbackSinks = &allow
			return err
		},
	},
	{
		"mode", "MODE", "all", "which sides are sent: all, request or response",
		func(a *Arguments, v string) (err error) { a.Mode, err = event.ParseMode(v); return err },
	},
	{
		"events", "LIST", event.FormatKinds(event.DefaultKinds()), "which events are sent, of request, response, stream, request.failure, response.failure, request.oversize, response.oversize, request.encoded, response.encoded, tunnel, loop, ledger",
		func(a *Arguments, v string) (err error) { a.Events, err = event.ParseKinds(v); return err },
	},
	{
		"ledger-interval", "DURATION", "1m", "the pace of ledger events, where --events has those and there is something new: at least 1s",
		func(a *Arguments, v string) (err error) {
			if a.LedgerInterval, err = parseDuration(v); err == nil && a.LedgerInterval < minLedgerInterval {
				return fmt.Errorf("%s is too often: write 1s or more", a.LedgerInterval)
			}
			return err
		},
	},
	{
		"content-mode", "MODE", "auto", "how events go out: binary, structured, or auto, which is binary wherever headers can carry the attributes unchanged",
		func(a *Arguments, v string) (err error) { a.ContentMode, err = event.ParseContentMode(v); return err },
	},
	{
		"paths", "PATTERN", "", "the paths that are inference, once for each pattern: * is any run of characters, and a leading ! says what is not. Without one, everything but health probes and metrics scrapes",
		func(a *Arguments, v string) error { return a.Paths.Add(v) },
	},
	{
		"source", "NAME", defaultSource, "the events' source, a URI reference",
		func(a *Arguments, v string) error { return parseSource(&a.Source, v) },
	},
	{
		"inference-service", "NAME", "", "the attribute inferenceservicename",
		func(a *Arguments, v string) error { return parseText(&a.InferenceService, v) },
	},
	{
		"namespace", "NAME", "", "the attribute namespace",
		func(a *Arguments, v string) error { return parseText(&a.Namespace, v) },
	},
	{
		"component", "NAME", "", "the attribute component",
		func(a *Arguments, v string) error { return parseText(&a.Component, v) },
	},
	{
		"metadata", "ATTRIBUTE=VALUE", "", "an attribute of every event, once for each; everything after the first = is the value",
		func(a *Arguments, v string) error {
			attribute, err := metadata.ParseArgument(v)
			a.Metadata = append(a.Metadata, attribute)
			return err
		},
	},
	{
		"metadata-dir", "DIR", "", "a directory that is watched for a file " + metadata.FileName + ", a flat JSON object of attribute to value that replaces what --metadata gave",
		func(a *Arguments, v string) error { a.MetadataDir = v; return nil },
	},
	{
		"max-payload-bytes", "BYTES", "716800", "the largest body that goes into an event",
		func(a *Arguments, v string) (err error) { a.MaxPayloadBytes, err = parseBytes(v, 1); return err },
	},
	{
		"buffer-bytes", "BYTES", "33554432", "the budget of everything that is held in memory for events",
		func(a *Arguments, v string) (err error) {
			a.BufferBytes, err = parseBytes(v, minBufferBytes)
			return err
		},
	},
	{
		"max-exchanges", "NUMBER", "512", "how many exchanges may be under way. Further requests are answered with 503. Plan 96 KiB of memory for each. A long head counts as several exchanges. 0 means no bound",
		func(a *Arguments, v string) (err error) { a.MaxExchanges, err = parseExchanges(v); return err },
	},
	{
		"drain-timeout", "DURATION", "30s", "how long events are still delivered after SIGTERM, from the end of the last exchange. Exchanges have no time limit. A second SIGTERM ends exchanges and delivery at once",
		func(a *Arguments, v string) (err error) { a.DrainTimeout, err = parseDuration(v); return err },
	},
	{
		"readiness-probe", "JSON", "", "the model's readiness probe, as a Kubernetes Probe with httpGet, tcpSocket or grpc and a numeric port; without one the target is dialled",
		func(a *Arguments, v string) (err error) { a.ReadinessProbe, err = readiness.ParseProbe(v); return err },
	},
	{
		"startup-probe", "JSON", "", "the model's startup probe, in the same form",
		func(a *Arguments, v string) (err error) { a.StartupProbe, err = readiness.ParseProbe(v); return err },
	},
	{
		"metrics-protocol", "PROTOCOL", "prometheus", "how metrics are exported: prometheus serves them at /metrics of the admin port, grpc and http/protobuf send them to a collector (OTLP), none does neither",
		func(a *Arguments, v string) error { a.MetricsExport.Protocol = telemetry.Protocol(v); return nil },
	},
	{
		"metrics-endpoint", "URL", "", "the collector of metrics, for grpc http://host:4317, for http/protobuf http://host:4318/v1/metrics; without a scheme it is reached by TLS",
		func(a *Arguments, v string) error { a.MetricsExport.Endpoint = v; return nil },
	},
	{
		"metrics-export-interval", "DURATION", "60s", "how often metrics are sent",
		func(a *Arguments, v string) (err error) { a.MetricsExport.Interval, err = parseDuration(v); return err },
	},
	{
		"tracing-protocol", "PROTOCOL", "none", "how traces are exported: none, grpc, http/protobuf or stdout",
		func(a *Arguments, v string) error { a.TracesExport.Protocol = telemetry.Protocol(v); return nil },
	},
	{
		"tracing-endpoint", "URL", "", "the collector of traces, for grpc http://host:4317, for http/protobuf http://host:4318/v1/traces; without a scheme it is reached by TLS",
		func(a *Arguments, v string) error { a.TracesExport.Endpoint = v; return nil },
	},
	{
		"tracing-sampling-rate", "RATE", "0", "the share of requests without a trace context that begin a trace, from 0 to 1; those with one are traced where it says that it is sampled. 0 traces none of either, and stdout has all of the former",
		func(a *Arguments, v string) (err error) {
			if a.TracesExport.SamplingRate, err = strconv.ParseFloat(v, 64); err != nil {
				return fmt.Errorf("%q is no rate: write a number from 0 to 1", v)
			}
			return nil
		},
	},
	{
		"log-level", "LEVEL", "info", "debug, info, warn or error; logs go to stderr",
		func(a *Arguments, v string) (err error) { a.LogLevel, err = parseLevel(v); return err },
	},
}

// Usage writes the help text.
func Usage(w io.Writer) {
	fmt.Fprint(w, `The Sidenote agent: a proxy in front of a model that sends every request and
response as a CloudEvent.

  agent --target=http://127.0.0.1:8080 --sink=stdout --metadata team=x

`)
	row := func(name, value, byDefault, help string) {
		if byDefault != "" {
			help += " (default " + byDefault + ")"
		}
		fmt.Fprintf(w, "  --%s=%s\n        %s\n", name, value, help)
	}
	for _, argument := range table {
		row(argument.name, argument.value, argument.byDefault, argument.help)
		if argument.name == "target" {
			row("sink", "URL", "", "where events go: an http or https URL, or stdout for a line of JSON each; short for --sink=default=URL. Without a sink, events are only counted")
			row("sink", "NAME=URL", "", "one of several sinks, by a name of a-z, 0-9 and -")
			for _, option := range sinkOptions {
				row("sink.NAME."+option.name, option.value, "", option.help)
			}
		}
	}
	fmt.Fprint(w, "\nOf the environment it reads K_REVISION, the attribute revision.\n")
}

func parsePort(text string) (uint16, error) {
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return 0, fmt.Errorf("%q is no port: write a number from 1 to 65535", text)
	}
	return uint16(port), nil
}

func parseExchanges(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > maxMaxExchanges {
		return 0, fmt.Errorf("%q is no number of exchanges: write one from 1 to %d, or 0 for no bound", text, maxMaxExchanges)
	}
	return n, nil
}

func parseTarget(text string) (*url.URL, error) {
	target, err := url.Parse(text)
	if err != nil || target.Scheme != "http" || target.Host == "" || strings.Trim(target.Path, "/") != "" || target.RawQuery != "" {
		return nil, errors.New("is no address of a model: write http://host:port")
	}
	return target, nil
}

func portOf(target *url.URL) (int32, error) {
	if target.Port() == "" {
		return 80, nil
	}
	port, err := parsePort(target.Port())
	return int32(port), err
}

func parseSource(source *string, text string) error {
	if _, err := event.NormalizeSource(text); err != nil || !headerSafe(text) {
		return errors.New("is no URI reference: write the name of the service, such as my-model-predictor-default")
	}
	*source = text
	return nil
}

func headerSafe(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' })
}

func parseText(field *string, text string) error {
	if err := metadata.ValidateValue(text); err != nil {
		return err
	}
	*field = text
	return nil
}

func parseBytes(text string, least int64) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < least || n > maxBytes {
		return 0, fmt.Errorf("%q is no size: write a number of bytes from %d", text, least)
	}
	return n, nil
}

func parseBool(text string) (bool, error) {
	if text != "true" && text != "false" {
		return false, fmt.Errorf("%q is neither: write true or false", text)
	}
	return text == "true", nil
}

func parseDuration(text string) (time.Duration, error) {
	duration, err := time.ParseDuration(text)
	if err != nil || duration < 0 {
		return 0, fmt.Errorf("%q is no duration: write for example 30s", text)
	}
	return duration, nil
}

func parseLevel(text string) (zapcore.Level, error) {
	level, err := zapcore.ParseLevel(text)
	if err != nil || level > zapcore.ErrorLevel {
		return 0, fmt.Errorf("%q is no level: write debug, info, warn or error", text)
	}
	return level, nil
}
