/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"knative.dev/pkg/ptr"

	. "github.com/sidenote-dev/sidenote/internal/testing/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving"
)

func TestTrustBundlesBecomeOne(t *testing.T) {
	const eventing, own = "knative-eventing", "sidenote-system"
	a, b, c := Authority("a", 0), Authority("b", 0), Authority("c", 0)
	large, larger := Authority("large", 200_000), Authority("larger", 250_000)
	binary := TrustBundle(own, "z", nil)
	binary.BinaryData = map[string][]byte{"c.pem": []byte(c), "c.jks": {0xfe, 0xed}}
	for what, test := range map[string]struct {
		bundles []*corev1.ConfigMap
		want    Trust
	}{
		"none": {nil, Trust{}},
		"in the order of their names, and their keys": {
			[]*corev1.ConfigMap{TrustBundle(own, "a", map[string]string{"x": c}), TrustBundle(eventing, "b", map[string]string{"2": b, "1": a})},
			Trust{PEM: a + b + c},
		},
		"each certificate once": {
			[]*corev1.ConfigMap{TrustBundle(own, "a", map[string]string{"x": a + b, "y": b}), TrustBundle(own, "b", map[string]string{"x": b + c + a})},
			Trust{PEM: a + b + c},
		},
		"binary values too": {[]*corev1.ConfigMap{binary}, Trust{PEM: c}},
		"nothing but certificates": {
			[]*corev1.ConfigMap{TrustBundle(own, "a", map[string]string{"x": "# the first\n" + a + strings.ReplaceAll(b, "CERTIFICATE", "PRIVATE KEY") + "\n" + c})},
			Trust{PEM: a + c},
		},
		"none in one of them": {
			[]*corev1.ConfigMap{TrustBundle(own, "a", map[string]string{"x": a}), TrustBundle(own, "odd", map[string]string{"x": "hello"})},
			Trust{PEM: a, LeftOut: []string{"sidenote-system/odd has no certificate in PEM"}},
		},
	} {
		if diff := cmp.Diff(test.want, CombineTrust(test.bundles)); diff != "" {
			t.Errorf("%s (-want, +got): %s", what, diff)
		}
	}

	// What doesn't fit is left out whole, and what comes after it isn't.
	got := CombineTrust([]*corev1.ConfigMap{
		TrustBundle(eventing, "a", map[string]string{"x": large}), TrustBundle(eventing, "b", map[string]string{"x": a + larger}),
		TrustBundle(eventing, "c", map[string]string{"x": b}),
	})
	if got.PEM != large+b || len(got.PEM) > maxTrustBytes {
		t.Errorf("%d bytes, want %d", len(got.PEM), len(large+b))
	}
	if len(got.LeftOut) != 1 || !strings.HasPrefix(got.LeftOut[0], "knative-eventing/b has ") {
		t.Errorf("left out: %q", got.LeftOut)
	}
}

func TestRunningAgentsGetTheirSinksAddresses(t *testing.T) {
	is := defaulted(Seed())
	older := func(name string) *AppliedSink { return &AppliedSink{Destination: broker(name)} }
	sink := func(name string) *AppliedSink { return &AppliedSink{Destination: broker(name), Key: name} }
	desired := func(name, caCerts string) DesiredSink {
		address := addressOf(name)
		if caCerts != "" {
			address.CACerts = &caCerts
		}
		return DesiredSink{Destination: broker(name), Address: address}
	}
	at := func(name string) string { return `{"url":"` + addressOf(name).URL.String() + `"}` }
	unresolved := DesiredSink{Destination: broker("a")}
	refused := DesiredSink{Destination: broker("a"), Refused: true}
	asking := desired("a", "")
	asking.Address.Audience = ptr.String("aud")
	letters := desired("letters", "L")
	type data = map[string]string
	for what, test := range map[string]struct {
		cluster string
		applied Applied
		desired Desired
		want    data
		kept    []string
	}{
		"an address":                                {"C", Applied{Sinks: one(sink("a"), nil)}, Desired{Sinks: named(desired("a", ""), nil)}, data{"sink-a.json": at("a")}, nil},
		"an audience":                               {"C", Applied{Sinks: one(sink("a"), nil)}, Desired{Sinks: named(asking, nil)}, data{"sink-a.json": `{"url":"` + addressOf("a").URL.String() + `","audience":"aud"}`}, nil},
		"all of them":                               {"C", Applied{Sinks: one(sink("a"), sink("letters"))}, Desired{Sinks: named(desired("a", "A"), &letters)}, data{"sink-a.json": at("a"), "sink-a.pem": "A", "dead-letter-letters.json": at("letters"), "dead-letter-letters.pem": "L"}, nil},
		"a sink that doesn't resolve now":           {"C", Applied{Sinks: one(sink("a"), nil)}, Desired{Sinks: named(unresolved, nil)}, data{}, []string{"sink-a.pem", "sink-a.json"}},
		"a sink that must get nothing":              {"C", Applied{Sinks: one(sink("a"), nil)}, Desired{Sinks: named(refused, nil)}, data{"sink-a.json": "{}"}, nil},
		"another default than the one in force":     {"C", Applied{Sinks: one(sink("a"), nil)}, Desired{Sinks: named(desired("b", "B"), nil)}, data{}, []string{"sink-a.pem", "sink-a.json"}},
		"no sink in force":                          {"C", Applied{}, Desired{Sinks: named(unresolved, nil)}, data{}, nil},
		"an older template":                         {"C", Applied{Sinks: one(older("a"), older("letters"))}, Desired{Sinks: named(desired("a", "A"), &letters)}, data{"cluster.pem": "C", "sink.pem": "A", "dead-letter.pem": "L"}, nil},
		"an older template, nothing to trust":       {"", Applied{Sinks: one(older("a"), nil)}, Desired{Sinks: named(desired("a", ""), nil)}, data{}, nil},
		"an older template, a sink that is down":    {"C", Applied{Sinks: one(older("a"), nil)}, Desired{Sinks: named(unresolved, nil)}, data{"cluster.pem": "C"}, []string{"sink.pem"}},
		"an older template, a sink that is refused": {"C", Applied{Sinks: one(older("a"), nil)}, Desired{Sinks: named(refused, nil)}, data{"cluster.pem": "C"}, nil},
	} {
		made, kept := MakeTrust(predictor(is).Subject(), Trust{PEM: test.cluster}, test.applied, test.desired)
		if diff := cmp.Diff(test.want, made.Data); diff != "" {
			t.Errorf("%s (-want, +got): %s", what, diff)
		}
		if diff := cmp.Diff(test.kept, kept); diff != "" {
			t.Errorf("%s, kept (-want, +got): %s", what, diff)
		}
	}
}

// Authorities change by themselves now and then, and their template must not.
func TestTheTemplateHasNoAuthorities(t *testing.T) {
	is := defaulted(Seed())
	decide := func(caCerts string) Applied {
		address := addressOf("default")
		address.CACerts = &caCerts
		return Decide(nil, false, Desired{Agent: agentSettings(), Sinks: named(DesiredSink{Destination: broker("default"), Address: address}, nil)})
	}
	first, second := MakeService(predictor(is), "hash", decide("A")), MakeService(predictor(is), "hash", decide("B"))
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("the Knative Service differs: %s", diff)
	}
	// Nor does a record from before that: what it was made from still holds.
	old := decide("A")
	old.Sinks[0].Sink.Address.CACerts = ptr.String("A")
	first.Annotations[serving.LastAppliedAnnotationKey] = string(mustMarshal(old))
	if !Holds(first, true, decide("B")) {
		t.Error("a record with authorities doesn't hold any more")
	}
}

// One that comes later must not change the template.
func TestTheAuthoritiesAreMountedBeforeThereAreAny(t *testing.T) {
	service := made(defaulted(Seed()))
	if diff := cmp.Diff([]corev1.Volume{trust, noToken}, service.Spec.Template.Spec.Volumes); diff != "" {
		t.Errorf("volumes (-want, +got): %s", diff)
	}
	if got := valueOf(t, agentOf(t, service).Args, "sink.default.ca-certs-dir"); got != "/etc/sidenote/trust/sink" {
		t.Errorf("--sink.default.ca-certs-dir=%s", got)
	}
}
