/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1_test

import (
	"encoding/json"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	eventingv1 "knative.dev/eventing/pkg/apis/eventing/v1"
	pkgfuzzer "knative.dev/pkg/apis/testing/fuzzer"
	"knative.dev/pkg/apis/testing/roundtrip"
	"sigs.k8s.io/randfill"

	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

var fuzzers = fuzzer.MergeFuzzerFuncs(pkgfuzzer.Funcs, func(serializer.CodecFactory) []any {
	return []any{
		// Unknown fields are read and never written.
		func(unknown *v1beta1.UnknownFields, _ randfill.Continue) { *unknown = nil },
		// A filter may have filters in it, without end.
		func(filter *eventingv1.SubscriptionsAPIFilter, c randfill.Continue) { c.Fill(&filter.Exact) },
		func(status *v1alpha1.LoggerBindingStatus, c randfill.Continue) {
			c.FillNoCustom(status)
			status.SetConditions(nil)
			status.InitializeConditions()
			status.MarkSinkResolved()
			pkgfuzzer.FuzzConditions(status, c)
		},
	}
})

func TestEveryFieldSurvivesJSON(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	roundtrip.ExternalTypesViaJSON(t, scheme, fuzzers)
}

func TestDecodingKeepsUnknownFields(t *testing.T) {
	var binding v1alpha1.LoggerBinding
	if err := json.Unmarshal([]byte(`{"spec": {
		"rolout": "Now",
		"subject": {"nmae": "iris", "selector": {"matchExpressions": [{"key": "a", "operater": "Exists"}]}},
		"logger": {"sampling": 5, "sink": {"ref": {"nmae": "a"}}}
	}}`), &binding); err != nil {
		t.Fatal(err)
	}
	if got, want := binding.Spec.Unknown, (v1beta1.UnknownFields{"rolout", "subject.nmae", "subject.selector.matchExpressions[0].operater"}); !slices.Equal(got, want) {
		t.Errorf("the specification doesn't know %v, want %v", got, want)
	}
	if got, want := binding.Spec.Logger.Unknown, (v1beta1.UnknownFields{"sampling", "sink.ref.nmae"}); !slices.Equal(got, want) {
		t.Errorf("the logger doesn't know %v, want %v", got, want)
	}
}
