/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	"testing"

	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
)

func refTo(apiVersion, kind, namespace, name string) duckv1.Destination {
	return duckv1.Destination{Ref: &duckv1.KReference{APIVersion: apiVersion, Kind: kind, Namespace: namespace, Name: name}}
}

// The form of knative.dev/eventing/pkg/auth.GetAudience, a package with many
// dependencies.
func TestOwnAudienceIsEventings(t *testing.T) {
	for want, destination := range map[string]duckv1.Destination{
		"eventing.knative.dev/broker/models/default":    refTo("eventing.knative.dev/v1", "Broker", "models", "default"),
		"eventing.knative.dev/kafkasink/models/a":       refTo("eventing.knative.dev/v1alpha1", "KafkaSink", "models", "a"),
		"messaging.knative.dev/inmemorychannel/other/a": refTo("messaging.knative.dev/v1", "InMemoryChannel", "other", "a"),
		"sinks.knative.dev/jobsink/models/a":            refTo("sinks.knative.dev/v1alpha1", "JobSink", "models", "a"),
	} {
		if got := OwnAudience(destination); got != want {
			t.Errorf("it is %q, want %q", got, want)
		}
	}
	for what, destination := range map[string]duckv1.Destination{
		"a Kubernetes Service": refTo("v1", "Service", "models", "a"),
		"a URI":                {URI: apis.HTTPS("collector.example")},
		"a broken version":     refTo("a/b/c", "Broker", "models", "a"),
		"nothing":              {},
	} {
		if got := OwnAudience(destination); got != "" {
			t.Errorf("of %s it is %q", what, got)
		}
	}
}

func TestWhichAudienceADestinationMayHave(t *testing.T) {
	broker := refTo("eventing.knative.dev/v1", "Broker", "models", "default")
	uri := duckv1.Destination{URI: apis.HTTPS("collector.example")}
	for what, test := range map[string]struct {
		destination duckv1.Destination
		audience    string
		allowed     []string
		permitted   bool
	}{
		"a Broker's own":                        {broker, "eventing.knative.dev/broker/models/default", nil, true},
		"a cloud's":                             {broker, "sts.amazonaws.com", nil, false},
		"the API server's":                      {broker, "https://kubernetes.default.svc.cluster.local", nil, false},
		"another Broker's":                      {broker, "eventing.knative.dev/broker/models/other", nil, false},
		"one of another namespace":              {broker, "eventing.knative.dev/broker/other/default", nil, false},
		"another kind's":                        {broker, "messaging.knative.dev/inmemorychannel/models/default", nil, false},
		"an own one with more at its end":       {broker, "eventing.knative.dev/broker/models/default/x", nil, false},
		"an own one in upper case":              {broker, "eventing.knative.dev/Broker/models/default", nil, false},
		"none":                                  {broker, "", nil, false},
		"one that the cluster allows":           {broker, "sts.amazonaws.com", []string{"a", "sts.amazonaws.com"}, true},
		"a URI's":                               {uri, "https://collector.example", nil, false},
		"a URI's that the cluster allows":       {uri, "https://collector.example", []string{"https://collector.example"}, true},
		"a Kubernetes Service's":                {refTo("v1", "Service", "models", "a"), "/service/models/a", nil, false},
		"a Channel's, of what is behind it":     {refTo("messaging.knative.dev/v1", "Channel", "models", "a"), "messaging.knative.dev/kafkachannel/models/a", nil, true},
		"a Channel's, of another name":          {refTo("messaging.knative.dev/v1", "Channel", "models", "a"), "messaging.knative.dev/kafkachannel/models/b", nil, false},
		"a Channel's, of no channel":            {refTo("messaging.knative.dev/v1", "Channel", "models", "a"), "messaging.knative.dev/subscription/models/a", nil, false},
		"a Channel's, of a cloud":               {refTo("messaging.knative.dev/v1", "Channel", "models", "a"), "sts.amazonaws.com", nil, false},
		"a Sequence's, of its first step":       {refTo("flows.knative.dev/v1", "Sequence", "models", "a"), "messaging.knative.dev/inmemorychannel/models/a-kn-sequence-0", nil, true},
		"a Sequence's, of another's first step": {refTo("flows.knative.dev/v1", "Sequence", "models", "a"), "messaging.knative.dev/inmemorychannel/models/b-kn-sequence-0", nil, false},
		"a Parallel's, of what is before it":    {refTo("flows.knative.dev/v1", "Parallel", "models", "a"), "messaging.knative.dev/inmemorychannel/models/a-kn-parallel", nil, true},
		"a kind that only calls itself Channel": {refTo("example.com/v1", "Channel", "models", "a"), "messaging.knative.dev/inmemorychannel/models/a", nil, false},
	} {
		if got := PermitsAudience(test.destination, test.audience, test.allowed); got != test.permitted {
			t.Errorf("%s: permitted is %v, want %v", what, got, test.permitted)
		}
	}
}
