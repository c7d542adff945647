/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1_test

import (
	"encoding/json"
	"math/rand"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	eventingv1 "knative.dev/eventing/pkg/apis/eventing/v1"
	pkgfuzzer "knative.dev/pkg/apis/testing/fuzzer"
	"knative.dev/pkg/apis/testing/roundtrip"
	"sigs.k8s.io/randfill"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

var fuzzers = fuzzer.MergeFuzzerFuncs(pkgfuzzer.Funcs, func(serializer.CodecFactory) []any {
	return []any{
		// Unknown fields are read and never written.
		func(unknown *v1beta1.UnknownFields, _ randfill.Continue) { *unknown = nil },
		// A filter may have filters in it, without end.
		func(filter *eventingv1.SubscriptionsAPIFilter, c randfill.Continue) { c.Fill(&filter.Exact) },
		func(status *v1beta1.InferenceServiceStatus, c randfill.Continue) {
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
	if err := v1beta1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	roundtrip.ExternalTypesViaJSON(t, scheme, fuzzers)
}

func TestDecodingKeepsUnknownFields(t *testing.T) {
	const manifest = `{
		"surprise": "at the top, where the schema prunes",
		"metadata": {"name": "my-model", "annotations": {"team": "ai-platform"}},
		"spec": {
			"router": {"containers": [{"image": "t"}]},
			"predictor": {
				"workerSpec": 10,
				"minreplicas": 1,
				"minReplicas": 2,
				"serviceAccountName": "trainer",
				"containers": [{"image": "m"}],
				"logger": {
					"sampling": {"percent": 5},
					"sink": {"URI": "x", "uri": "http://a", "ref": null},
					"delivery": {"retry": 1, "deadLetterSink": {"ref": {"name": "a", "nmae": "b"}}},
					"metadata": [{"attribute": "a"}, {"annotations": "b"}, null]
				}
			}
		}
	}`
	var is v1beta1.InferenceService
	if err := json.Unmarshal([]byte(manifest), &is); err != nil {
		t.Fatal(err)
	}
	for what, test := range map[string]struct{ got, want v1beta1.UnknownFields }{
		"spec":      {is.Spec.Unknown, v1beta1.UnknownFields{"router"}},
		"predictor": {is.Spec.Predictor.Unknown, v1beta1.UnknownFields{"minreplicas", "workerSpec"}},
		"logger": {is.Spec.Predictor.Logger.Unknown, v1beta1.UnknownFields{
			"delivery.deadLetterSink.ref.nmae", "metadata[1].annotations", "sampling", "sink.URI",
		}},
	} {
		if diff := cmp.Diff(test.want, test.got); diff != "" {
			t.Errorf("unknown fields of %s (-want, +got): %s", what, diff)
		}
	}
	if got := *is.Spec.Predictor.MinReplicas; got != 2 {
		t.Errorf("minReplicas is %d: another field's case counted", got)
	}
	if is.Spec.Predictor.ServiceAccountName != "trainer" || is.Spec.Predictor.Containers[0].Image != "m" {
		t.Errorf("known fields of the Pod specification got lost: %+v", is.Spec.Predictor.PodSpec)
	}

	// A second object read into the same memory has its own.
	if err := json.Unmarshal([]byte(`{"spec": {"predictor": {"containers": [{"image": "n"}]}}}`), &is); err != nil {
		t.Fatal(err)
	}
	if is.Spec.Unknown != nil || is.Spec.Predictor.Unknown != nil {
		t.Errorf("unknown fields of the former object stayed: %v, %v", is.Spec.Unknown, is.Spec.Predictor.Unknown)
	}
}

func TestWrongTypesDoNotDecode(t *testing.T) {
	for _, predictor := range []string{`[]`, `"model"`, `{"containers": {}}`, `{"minReplicas": "one"}`, `{"logger": "all"}`, `{"logger": {"metadataAnnotations": "team"}}`, `{"logger": {"sink": []}}`, `{"logger": {"metadata": {}}}`} {
		var spec v1beta1.InferenceServiceSpec
		if err := json.Unmarshal([]byte(`{"predictor": `+predictor+`}`), &spec); err == nil {
			t.Errorf("%s decodes to %+v", predictor, spec.Predictor)
		}
	}
}

func TestDeepCopiesShareNothing(t *testing.T) {
	filler := fuzzer.FuzzerFor(fuzzer.MergeFuzzerFuncs(metafuzzer.Funcs, fuzzers), rand.NewSource(1), serializer.NewCodecFactory(runtime.NewScheme())).NilChance(0).NumElements(1, 2)
	for range 20 {
		var is v1beta1.InferenceService
		filler.Fill(&is)
		is.Spec.Unknown = v1beta1.UnknownFields{"sklearn"}
		before, err := json.Marshal(&is)
		if err != nil {
			t.Fatal(err)
		}
		copied := is.DeepCopy()
		if !reflect.DeepEqual(&is, copied) {
			t.Fatalf("the copy differs: %s", cmp.Diff(&is, copied))
		}
		copied.Spec.Unknown[0] = "xgboost"
		filler.Fill(copied)
		after, err := json.Marshal(&is)
		if err != nil {
			t.Fatal(err)
		}
		if string(before) != string(after) || is.Spec.Unknown[0] != "sklearn" {
			t.Fatalf("a change of the copy changed the original: %s", cmp.Diff(string(before), string(after)))
		}
	}
}
