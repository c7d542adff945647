/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package configmaps

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/ptr"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving"
)

func cachedOf(t *testing.T, configMap *corev1.ConfigMap) *corev1.ConfigMap {
	t.Helper()
	cached, err := Fingerprint(configMap)
	if err != nil {
		t.Fatal(err)
	}
	return cached.(*corev1.ConfigMap)
}

// Whoever may edit a namespace can label ConfigMaps as ours are.
func TestTheCacheOfAConfigMapIsBounded(t *testing.T) {
	large := strings.Repeat("x", 250_000)
	configMap := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Name: "large", Namespace: "models", UID: "uid", ResourceVersion: "1",
			Labels:        map[string]string{serving.ComponentLabelKey: "predictor", "other": "label"},
			Annotations:   map[string]string{"large": large},
			ManagedFields: []metav1.ManagedFieldsEntry{{FieldsV1: &metav1.FieldsV1{Raw: []byte(large)}}},
			Finalizers:    []string{large},
			OwnerReferences: []metav1.OwnerReference{
				{Kind: "InferenceService", Name: "a", Controller: ptr.Bool(true)}, {Kind: large, Name: "b"},
			},
		},
		Data:       map[string]string{"cluster.pem": large},
		BinaryData: map[string][]byte{"more": []byte(large)},
	}
	for i := range 1000 {
		configMap.Data[fmt.Sprintf("%s-%d", strings.Repeat("k", 200), i)] = "x"
		configMap.Data[fmt.Sprint(i)] = "x"
	}
	cached := cachedOf(t, configMap)
	content, err := json.Marshal(cached)
	if err != nil {
		t.Fatal(err)
	}
	if len(content) > 4096 {
		t.Errorf("it takes %d bytes", len(content))
	}
	if cached.UID != "uid" || cached.ResourceVersion != "1" || metav1.GetControllerOf(cached).Name != "a" || cached.Labels[serving.ComponentLabelKey] != "predictor" {
		t.Errorf("it lacks what it is known by: %+v", cached.ObjectMeta)
	}
}

func TestFingerprintShowsTheChange(t *testing.T) {
	labels := map[string]string{serving.ComponentLabelKey: "predictor"}
	desired := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Data: map[string]string{"a": "1", "b": "2"}}
	for what, test := range map[string]struct {
		data    map[string]string
		binary  map[string][]byte
		labels  map[string]string
		kept    []string
		matches bool
	}{
		"the same":                    {map[string]string{"a": "1", "b": "2"}, nil, labels, nil, true},
		"others' labels beside":       {map[string]string{"a": "1", "b": "2"}, nil, map[string]string{serving.ComponentLabelKey: "predictor", "x": "y"}, nil, true},
		"another value":               {map[string]string{"a": "1", "b": "3"}, nil, labels, nil, false},
		"a key less":                  {map[string]string{"a": "1"}, nil, labels, nil, false},
		"a key more":                  {map[string]string{"a": "1", "b": "2", "c": "3"}, nil, labels, nil, false},
		"a key more that is kept":     {map[string]string{"a": "1", "b": "2", "c": "3"}, nil, labels, []string{"c"}, true},
		"a kept key that is absent":   {map[string]string{"a": "1", "b": "2"}, nil, labels, []string{"c"}, true},
		"binary data beside":          {map[string]string{"a": "1", "b": "2"}, map[string][]byte{"c": nil}, labels, nil, false},
		"another label":               {map[string]string{"a": "1", "b": "2"}, nil, map[string]string{serving.ComponentLabelKey: "other"}, nil, false},
		"a key more with a long name": {map[string]string{"a": "1", "b": "2", strings.Repeat("c", 100): ""}, nil, labels, nil, false},
	} {
		live := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Labels: test.labels}, Data: test.data, BinaryData: test.binary}
		if got := matches(cachedOf(t, live), desired, test.kept); got != test.matches {
			t.Errorf("%s: it matches is %v, want %v", what, got, test.matches)
		}
	}
}
