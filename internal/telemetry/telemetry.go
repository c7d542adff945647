/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package telemetry has the settings of an agent's export of metrics and traces,
// with the names of Knative's ConfigMap config-observability. It is pure.
// Webhook, reconciler and agent all validate with it.
package telemetry

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Protocol is how something is exported.
type Protocol string

// The protocols (knative.dev/pkg/observability, metrics.Config and
// tracing.Config).
const (
	None         Protocol = "none"
	GRPC         Protocol = "grpc"
	HTTPProtobuf Protocol = "http/protobuf"
	// Prometheus is for metrics only. They are served, not sent.
	Prometheus Protocol = "prometheus"
	// Stdout is for traces only.
	Stdout Protocol = "stdout"
)

// MinInterval is the least time between two exports of metrics.
const MinInterval = time.Second

// Metrics is how metrics are exported. The zero value leaves it to the agent.
type Metrics struct {
	Protocol Protocol `json:"protocol,omitempty"`
	// Endpoint is the URL of the collector. Only GRPC and HTTPProtobuf have one.
	Endpoint string `json:"endpoint,omitempty"`
	// Interval is the time between two exports; 0 is the exporter's own, 60 s.
	Interval time.Duration `json:"interval,omitempty"`
}

// Validate says what is wrong, and what to write.
func (m Metrics) Validate() error {
	if m.Interval != 0 && m.Interval < MinInterval {
		return fmt.Errorf("invalid export interval %s: must be at least %s, or 0s for the exporter's default", m.Interval, MinInterval)
	}
	return validate(m.Protocol, m.Endpoint, []Protocol{None, Prometheus, GRPC, HTTPProtobuf})
}

// Traces is how traces are exported. The zero value is that none are.
type Traces struct {
	Protocol Protocol `json:"protocol,omitempty"`
	// Endpoint is the URL of the collector. Only GRPC and HTTPProtobuf have one.
	Endpoint string `json:"endpoint,omitempty"`
	// SamplingRate is the share of exchanges without a trace of the client's
	// that begin one, from 0 to 1.
	SamplingRate float64 `json:"samplingRate,omitempty"`
}

// Validate says what is wrong, and what to write.
func (t Traces) Validate() error {
	if !(t.SamplingRate >= 0 && t.SamplingRate <= 1) {
		return fmt.Errorf("invalid sampling rate %s: must be 0 to 1", strconv.FormatFloat(t.SamplingRate, 'g', -1, 64))
	}
	return validate(t.Protocol, t.Endpoint, []Protocol{None, GRPC, HTTPProtobuf, Stdout})
}

// On says whether there is anything to export.
func (t Traces) On() bool {
	return t.Protocol == Stdout || ((t.Protocol == GRPC || t.Protocol == HTTPProtobuf) && t.SamplingRate > 0)
}

// validate never quotes an endpoint, which may hold a secret.
func validate(protocol Protocol, endpoint string, protocols []Protocol) error {
	if protocol != "" && !slices.Contains(protocols, protocol) {
		return fmt.Errorf("invalid protocol %q: must be one of %s", protocol, list(protocols))
	}
	if protocol != GRPC && protocol != HTTPProtobuf {
		if endpoint != "" {
			return errors.New("only the protocols grpc and http/protobuf have an endpoint: remove it")
		}
		return nil
	}
	parsed, err := url.Parse(EndpointURL(endpoint))
	switch {
	case err != nil, parsed.Hostname() == "", parsed.Scheme != "http" && parsed.Scheme != "https", !validPort(parsed.Port()):
		return fmt.Errorf("the protocol %s needs the endpoint of a collector: write http://host:port", protocol)
	case parsed.User != nil, parsed.RawQuery != "", parsed.Fragment != "":
		return errors.New("invalid endpoint: must not have a user, a query or a fragment")
	case protocol == GRPC && strings.Trim(parsed.Path, "/") != "":
		return errors.New("invalid endpoint for grpc: must not have a path, write http://host:port")
	}
	return nil
}

func validPort(port string) bool {
	if port == "" {
		return true
	}
	number, err := strconv.ParseUint(port, 10, 16)
	return err == nil && number > 0
}

func list(protocols []Protocol) string {
	names := make([]string, 0, len(protocols))
	for _, protocol := range protocols {
		names = append(names, string(protocol))
	}
	return strings.Join(names, ", ")
}

// EndpointURL returns an endpoint as a URL. Without a scheme it uses TLS, as in
// all of Knative.
func EndpointURL(endpoint string) string {
	if endpoint != "" && !strings.Contains(endpoint, "://") {
		return "https://" + endpoint
	}
	return endpoint
}
