/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"
	"knative.dev/pkg/ptr"
	"sigs.k8s.io/yaml"

	. "github.com/sidenote-dev/sidenote/internal/testing/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// owners reads the InferenceServices whose hashes are known.
func owners(t *testing.T) map[string]*v1beta1.InferenceService {
	t.Helper()
	files, err := filepath.Glob("testdata/owner/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no InferenceServices: %v", err)
	}
	read := make(map[string]*v1beta1.InferenceService, len(files))
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		is := new(v1beta1.InferenceService)
		if err := yaml.UnmarshalStrict(content, is); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		read[strings.TrimSuffix(filepath.Base(file), ".yaml")] = defaulted(is)
	}
	return read
}

func selected(is *v1beta1.InferenceService) (attributes []metadata.Attribute) {
	if logger := is.Spec.Predictor.Logger; logger != nil {
		attributes, _ = metadata.Select(is.MetadataObject(), logger.MetadataSources())
	}
	return attributes
}

// goldenHashes are recorded in clusters. Where one changes, every model of a
// cluster is rolled: a dependency that does so needs a new version of the hash,
// and the old one to compare with.
var goldenHashes = map[string]struct{ unversioned, current string }{
	"plain": {"8e473628eb2a6b3c", "v1:da8c1dc5a74b2eff"},
	"seed":  {"c2385b6e7efe9bd0", "v1:0af3d2fa6b395e38"},
	"live":  {"d9e5433c97b59fc6", "v1:6551c458caf30bf9"},
	"rich":  {"3693aac8c4122a22", "v1:cd0464c6a2e078dd"},
}

func TestTheOwnersHashIsThatOfEarlierReleases(t *testing.T) {
	for name, is := range owners(t) {
		want, attributes := goldenHashes[name], selected(is)
		if got := unversionedOwnerHash(predictor(is), attributes); got != want.unversioned {
			t.Errorf("%s: the hash without a version is %s, was %s", name, got, want.unversioned)
		}
		if got := OwnerHash(predictor(is), attributes); got != want.current {
			t.Errorf("%s: the hash is %s, was %s", name, got, want.current)
		}
		for _, lastApplied := range []string{want.unversioned, want.current} {
			if !OwnerUnchanged(lastApplied, predictor(is), attributes) {
				t.Errorf("%s: %s is taken for another owner's", name, lastApplied)
			}
		}
		for _, lastApplied := range []string{"", "v0:" + want.unversioned, "v2:" + want.unversioned, "0123456789abcdef"} {
			if OwnerUnchanged(lastApplied, predictor(is), attributes) {
				t.Errorf("%s: %q is taken for the same owner's", name, lastApplied)
			}
		}
		changed := is.DeepCopy()
		WithImage("registry.example/model:v2")(changed)
		for _, lastApplied := range []string{want.unversioned, want.current} {
			if OwnerUnchanged(lastApplied, predictor(changed), attributes) {
				t.Errorf("%s: with another image it is still %s", name, lastApplied)
			}
		}
	}
}

// What a dependency adds is unset, and whether its tags say omitempty or
// omitzero changes nothing.
func TestOnlyWhatIsSetIsHashed(t *testing.T) {
	type inner struct {
		A string `json:"a,omitempty"`
	}
	type before struct {
		Name  string            `json:"name"`
		Inner inner             `json:"inner,omitempty"`
		List  []string          `json:"list"`
		Count *int32            `json:"count,omitempty"`
		Empty *inner            `json:"empty,omitempty"`
		Limit resource.Quantity `json:"limit"`
		inner
		metav1.TypeMeta `json:",inline"`
		Hidden          string `json:"-"`
	}
	type after struct {
		Name  string            `json:"name,omitempty"`
		Inner inner             `json:"inner,omitzero"`
		Added bool              `json:"added"`
		More  inner             `json:"more"`
		List  []string          `json:"list,omitempty"`
		Count *int32            `json:"count"`
		Empty *inner            `json:"empty"`
		Limit resource.Quantity `json:"limit,omitzero"`

		metav1.TypeMeta `json:",inline"`
	}
	written := func(value any) string { return string(mustMarshal(whatIsSet(value))) }
	for want, values := range map[string][2]any{
		`{}`: {before{Hidden: "x", List: []string{}}, after{}},
		`{"count":0,"empty":{},"kind":"K","limit":"1500m","list":[""],"name":"x"}`: {
			before{Name: "x", Count: ptr.Int32(0), Empty: &inner{}, List: []string{""}, Limit: resource.MustParse("1.5"), TypeMeta: metav1.TypeMeta{Kind: "K"}},
			after{Name: "x", Count: ptr.Int32(0), Empty: &inner{}, List: []string{""}, Limit: resource.MustParse("1500m"), TypeMeta: metav1.TypeMeta{Kind: "K"}},
		},
	} {
		for _, value := range values {
			if diff := cmp.Diff(want, written(value)); diff != "" {
				t.Errorf("%T (-want, +got): %s", value, diff)
			}
		}
	}
}

// What is set of an InferenceService reads back as the same: nothing that means
// something is left out of the hash.
func TestNothingThatIsSetIsLeftOutOfTheHash(t *testing.T) {
	for name, is := range owners(t) {
		var back v1beta1.PredictorSpec
		if err := json.Unmarshal(mustMarshal(whatIsSet(is.Spec.Predictor)), &back); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(mustMarshal(is.Spec.Predictor)), string(mustMarshal(back))); diff != "" {
			t.Errorf("%s (-set, +hashed): %s", name, diff)
		}
	}
}

// A pointer's zero is not the same as none.
func TestAZeroThatIsWrittenIsTheOwners(t *testing.T) {
	for what, change := range map[string]func(*v1beta1.PredictorSpec){
		"no replicas": func(p *v1beta1.PredictorSpec) { p.MinReplicas = ptr.Int32(0) },
		"no limit":    func(p *v1beta1.PredictorSpec) { p.ContainerConcurrency = ptr.Int64(0) },
		"no token":    func(p *v1beta1.PredictorSpec) { p.AutomountServiceAccountToken = ptr.Bool(false) },
		"root": func(p *v1beta1.PredictorSpec) {
			p.SecurityContext = &corev1.PodSecurityContext{RunAsUser: ptr.Int64(0)}
		},
		"an emptyDir":          func(p *v1beta1.PredictorSpec) { p.Volumes[0].EmptyDir = &corev1.EmptyDirVolumeSource{} },
		"a variable's value":   func(p *v1beta1.PredictorSpec) { p.Containers[0].Env[0].Value = "x" },
		"a selector of no set": func(p *v1beta1.PredictorSpec) { p.TopologySpreadConstraints[0].LabelSelector = &metav1.LabelSelector{} },
	} {
		is := Seed(WithPredictor(func(p *v1beta1.PredictorSpec) {
			p.Volumes = []corev1.Volume{{Name: "v"}}
			p.Containers[0].Env = []corev1.EnvVar{{Name: "A"}}
			p.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{TopologyKey: "zone"}}
		}))
		before := OwnerHash(predictor(is), nil)
		change(&is.Spec.Predictor)
		if OwnerHash(predictor(is), nil) == before {
			t.Errorf("%s is no change", what)
		}
	}
}

// Knative's JSON of some URLs is none, and the controller must not end by it.
func TestAURLWithoutJSONHasAHash(t *testing.T) {
	odd := func(host string) *v1beta1.InferenceService {
		return Seed(WithLogger(func(logger *v1beta1.LoggerSpec) {
			logger.URL = &apis.URL{Scheme: "http", Host: host, RawQuery: "\U000f0000"}
		}))
	}
	if _, err := json.Marshal(odd("a").Spec.Predictor.Logger.URL); err == nil {
		t.Fatal("Knative writes it: this test is of no use")
	}
	if OwnerHash(predictor(odd("a")), nil) == OwnerHash(predictor(odd("b")), nil) {
		t.Error("another host is no change")
	}
	if OwnerUnchanged("0123456789abcdef", predictor(odd("a")), nil) || OwnerUnchanged("", predictor(odd("a")), nil) {
		t.Error("what could not be lastApplied is taken for the same")
	}
}
