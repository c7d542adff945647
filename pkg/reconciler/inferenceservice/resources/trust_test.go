/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package resources

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"knative.dev/pkg/ptr"

	. "github.com/sidenote-dev/sidenote/pkg/testing/v1beta1"
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

// An authority that comes later must not change the template.
func TestTheAuthoritiesAreMountedBeforeThereAreAny(t *testing.T) {
	is := defaulted(Seed())
	service := made(is)
	want := []corev1.Volume{{Name: "sidenote-trust", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
		LocalObjectReference: corev1.LocalObjectReference{Name: MakeTrust(is, Trust{}).Name}, Optional: ptr.Bool(true),
	}}}}
	if diff := cmp.Diff(want, service.Spec.Template.Spec.Volumes); diff != "" {
		t.Errorf("volumes (-want, +got): %s", diff)
	}
	if got := valueOf(t, agentOf(t, service).Args, "sink.default.ca-certs-dir"); got != "/etc/sidenote/trust" {
		t.Errorf("--sink.default.ca-certs-dir=%s", got)
	}
}
