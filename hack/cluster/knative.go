/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

// knative is Serving and Eventing, with the DNS and the ingress that they need.
var knative = platform{
	name:          "knative",
	title:         "Knative",
	hint:          "about 3 min the first time",
	prerequisites: "cluster",
	distributions: []distribution{
		{name: "serving", namespace: "knative-serving", sources: []source{
			{module: "knative.dev/networking", folder: "config"},
			{module: "knative.dev/caching", folder: "config"},
			{module: "knative.dev/serving", folder: "config/core", without: []string{"activator-hpa.yaml", "webhook-hpa.yaml"}},
		}},
		{name: "eventing", namespace: "knative-eventing", sources: []source{
			{module: "knative.dev/eventing", folder: "config/core", without: []string{
				"job-sink.yaml", "pingsource-mt-adapter.yaml", "request-reply.yaml", "webhook-hpa.yaml",
			}},
			// The controller refers to these, though nothing here runs them.
			{module: "knative.dev/eventing", folder: "third_party/eventing-integrations-latest"},
			{module: "knative.dev/eventing", folder: "config/channels/in-memory-channel"},
			{module: "knative.dev/eventing", folder: "config/brokers/mt-channel-broker", without: []string{"hpa.yaml"}},
		}},
	},
	probes: `
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: probe, namespace: default}
spec: {template: {spec: {containers: [{image: example.com/probe}]}}}
---
apiVersion: eventing.knative.dev/v1
kind: Broker
metadata: {name: probe, namespace: default}
---
apiVersion: messaging.knative.dev/v1
kind: InMemoryChannel
metadata: {name: probe, namespace: default}
`,
}
