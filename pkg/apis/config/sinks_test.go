/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package config

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
)

func TestWhichSinksTheClusterRefuses(t *testing.T) {
	broker := func(namespace string) duckv1.Destination {
		return duckv1.Destination{Ref: &duckv1.KReference{APIVersion: "eventing.knative.dev/v1", Kind: "Broker", Name: "b", Namespace: namespace}}
	}
	uri := func(host string) duckv1.Destination {
		return duckv1.Destination{URI: &apis.URL{Scheme: "https", Host: host}}
	}
	relative := broker("models")
	relative.URI = &apis.URL{Path: "/x"}
	for what, test := range map[string]struct {
		config      string
		destination duckv1.Destination
		// refused is a part of the remedy, or "" if it isn't refused.
		refused string
	}{
		"another namespace by default":         {"", broker("other"), ""},
		"another namespace, allowed":           {"allowed", broker("other"), ""},
		"another namespace, reviewed":          {"review", broker("other"), ""},
		"another namespace, denied":            {"denied", broker("other"), "cross-namespace-sinks"},
		"the own namespace, denied":            {"denied", broker("models"), ""},
		"without a namespace, denied":          {"denied", broker(""), ""},
		"any host by default":                  {"", uri("example.com"), ""},
		"an allowed host":                      {"hosts", uri("a.example.com"), ""},
		"an allowed host with a port":          {"hosts", uri("A.Example.com.:8443"), ""},
		"another host":                         {"hosts", uri("example.org"), "allowed-uri-hosts"},
		"a host that only begins so":           {"hosts", uri("a.example.com.evil.org"), "allowed-uri-hosts"},
		"a host of the cluster":                {"hosts", uri("collector.other.svc.cluster.local"), "allowed-uri-hosts"},
		"a path of an object, and other hosts": {"hosts", relative, ""},
		"none":                                 {"hosts", duckv1.Destination{}, ""},
	} {
		data := map[string]string{}
		switch test.config {
		case "":
		case "hosts":
			data["allowed-uri-hosts"] = "*.Example.com\n  collector.internal"
		default:
			data["cross-namespace-sinks"] = test.config
		}
		logger, err := NewLoggerFromConfigMap(&corev1.ConfigMap{Data: data})
		if err != nil {
			t.Fatal(err)
		}
		refusal := logger.RefuseSink(test.destination, "models")
		if (refusal == nil) != (test.refused == "") || (refusal != nil && !strings.Contains(refusal.Remedy, test.refused)) {
			t.Errorf("%s: %+v, want a remedy with %q", what, refusal, test.refused)
		}
	}
}

func TestTheRulesOfSinksMustBeReadable(t *testing.T) {
	for key, value := range map[string]string{"cross-namespace-sinks": "maybe", "allowed-uri-hosts": "https://example.com/"} {
		if _, err := NewLoggerFromConfigMap(&corev1.ConfigMap{Data: map[string]string{key: value}}); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %s gives %v", key, value, err)
		}
	}
}
