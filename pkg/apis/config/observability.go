/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package config

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"knative.dev/pkg/configmap/parser"
	observability "knative.dev/pkg/observability/configmap"

	"github.com/sidenote-dev/sidenote/internal/telemetry"
)

// Observability is how the agents export their metrics and traces, when a
// template is made or changed by its owner. The rest of the ConfigMap steers
// controller and webhook, which read it by themselves.
type Observability struct {
	Metrics telemetry.Metrics `json:"metrics,omitzero"`
	Traces  telemetry.Traces  `json:"traces,omitzero"`
}

// ObservabilityConfigName is the ConfigMap that Observability is read from.
func ObservabilityConfigName() string { return observability.Name() }

// NewObservabilityFromConfigMap reads Observability. As with Knative Serving's
// queue-proxy, metrics beside a request have keys of their own, and traces
// share those of the control plane.
func NewObservabilityFromConfigMap(configMap *corev1.ConfigMap) (*Observability, error) {
	// What controller and webhook read of it.
	if _, err := observability.Parse(configMap); err != nil {
		return nil, err
	}
	var metricsProtocol, metricsEndpoint, tracesProtocol, tracesEndpoint string
	var interval time.Duration
	var rate float64
	if err := parser.Parse(configMap.Data,
		parser.As("request-metrics-protocol", &metricsProtocol),
		parser.As("request-metrics-endpoint", &metricsEndpoint),
		parser.As("request-metrics-export-interval", &interval),
		parser.As("tracing-protocol", &tracesProtocol),
		parser.As("tracing-endpoint", &tracesEndpoint),
		parser.As("tracing-sampling-rate", &rate),
	); err != nil {
		return nil, err
	}
	read := &Observability{
		Metrics: telemetry.Metrics{Protocol: telemetry.Protocol(metricsProtocol), Endpoint: metricsEndpoint, Interval: interval},
		Traces:  telemetry.Traces{Protocol: telemetry.Protocol(tracesProtocol), Endpoint: tracesEndpoint, SamplingRate: rate},
	}
	if err := read.Metrics.Validate(); err != nil {
		return nil, fmt.Errorf("request-metrics-*: %w", err)
	}
	if err := read.Traces.Validate(); err != nil {
		return nil, fmt.Errorf("tracing-*: %w", err)
	}
	return read, nil
}
