/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package telemetry

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestMetrics(t *testing.T) {
	for what, test := range map[string]struct {
		given Metrics
		// want is part of the error, empty for none.
		want string
	}{
		"nothing":                        {},
		"none":                           {given: Metrics{Protocol: None}},
		"prometheus":                     {given: Metrics{Protocol: Prometheus}},
		"grpc":                           {given: Metrics{Protocol: GRPC, Endpoint: "http://collector:4317"}},
		"grpc with a slash":              {given: Metrics{Protocol: GRPC, Endpoint: "http://collector:4317/"}},
		"grpc by TLS":                    {given: Metrics{Protocol: GRPC, Endpoint: "collector:4317", Interval: time.Minute}},
		"grpc at an address":             {given: Metrics{Protocol: GRPC, Endpoint: "[::1]:4317"}},
		"http":                           {given: Metrics{Protocol: HTTPProtobuf, Endpoint: "https://collector/v1/metrics"}},
		"no protocol at all":             {Metrics{Protocol: "udp"}, "invalid protocol"},
		"a protocol of traces":           {Metrics{Protocol: Stdout}, "invalid protocol"},
		"no endpoint":                    {Metrics{Protocol: GRPC}, "needs the endpoint"},
		"an endpoint for nothing":        {Metrics{Endpoint: "http://collector:4317"}, "remove it"},
		"a port for prometheus":          {Metrics{Protocol: Prometheus, Endpoint: ":9090"}, "remove it"},
		"an endpoint of another scheme":  {Metrics{Protocol: GRPC, Endpoint: "unix:///run/collector"}, "write http://host:port"},
		"an endpoint that is no URL":     {Metrics{Protocol: GRPC, Endpoint: "http://collector:port"}, "write http://host:port"},
		"an endpoint without a host":     {Metrics{Protocol: GRPC, Endpoint: "http://:4317"}, "write http://host:port"},
		"an endpoint with an odd port":   {Metrics{Protocol: GRPC, Endpoint: "http://collector:99999"}, "write http://host:port"},
		"an endpoint with a line break":  {Metrics{Protocol: HTTPProtobuf, Endpoint: "http://collector\n:1"}, "write http://host:port"},
		"an endpoint with a password":    {Metrics{Protocol: GRPC, Endpoint: "http://a:canary4711@collector"}, "must not have a user"},
		"an endpoint with a query":       {Metrics{Protocol: HTTPProtobuf, Endpoint: "http://collector/?key=canary4711"}, "query"},
		"a path for grpc":                {Metrics{Protocol: GRPC, Endpoint: "http://collector:4317/v1/metrics"}, "must not have a path"},
		"an interval that is too short":  {Metrics{Protocol: GRPC, Endpoint: "http://collector", Interval: time.Nanosecond}, "must be at least"},
		"an interval that is no time":    {Metrics{Interval: -time.Minute}, "must be at least"},
		"a secret in an unreadable host": {Metrics{Protocol: GRPC, Endpoint: "http://canary4711:%zz"}, "write http://host:port"},
	} {
		check(t, what, test.given.Validate(), test.want)
	}
}

func TestTraces(t *testing.T) {
	for what, test := range map[string]struct {
		given Traces
		on    bool
		want  string
	}{
		"nothing":              {},
		"none":                 {given: Traces{Protocol: None, SamplingRate: 1}},
		"stdout":               {given: Traces{Protocol: Stdout}, on: true},
		"grpc":                 {given: Traces{Protocol: GRPC, Endpoint: "http://collector:4317", SamplingRate: .1}, on: true},
		"http, of nothing":     {given: Traces{Protocol: HTTPProtobuf, Endpoint: "http://collector:4318"}},
		"too many":             {given: Traces{SamplingRate: 1.5}, want: "must be 0 to 1"},
		"less than nothing":    {given: Traces{SamplingRate: -1}, want: "must be 0 to 1"},
		"a rate that is none":  {given: Traces{SamplingRate: math.NaN()}, want: "must be 0 to 1"},
		"a protocol of others": {given: Traces{Protocol: Prometheus}, want: "invalid protocol"},
	} {
		check(t, what, test.given.Validate(), test.want)
		if test.want == "" && test.given.On() != test.on {
			t.Errorf("%s: on is %t", what, test.given.On())
		}
	}
}

func check(t *testing.T, what string, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("%s: %v", what, err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("%s: got %v, want an error with %q", what, err, want)
	case err != nil && strings.Contains(err.Error(), "canary4711"):
		t.Errorf("%s: a secret is quoted: %v", what, err)
	}
}
