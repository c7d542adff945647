/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package configmaps

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"knative.dev/pkg/kmeta"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
	servingv1listers "knative.dev/serving/pkg/client/listers/serving/v1"

	"github.com/sidenote-dev/sidenote/internal/knativeservice"
	"github.com/sidenote-dev/sidenote/pkg/apis/bindings"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	v1beta1listers "github.com/sidenote-dev/sidenote/pkg/client/listers/serving/v1beta1"
)

func TestWhoReadsTheTrustOfANamespace(t *testing.T) {
	now := metav1.Now()
	inNamespace := func(namespace string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Name: "a", Namespace: namespace, UID: "a"}
	}
	is := func(logger *v1beta1.LoggerSpec, deleted *metav1.Time) *v1beta1.InferenceService {
		object := &v1beta1.InferenceService{ObjectMeta: inNamespace("models")}
		object.DeletionTimestamp, object.Spec.Predictor.Logger = deleted, logger
		return object
	}
	service := func(record string, deleted *metav1.Time) *servingv1.Service {
		object := &servingv1.Service{ObjectMeta: inNamespace("models")}
		object.DeletionTimestamp = deleted
		if record != "" {
			object.Spec.Template.Annotations = map[string]string{bindings.BoundAnnotationKey: record}
		}
		return object
	}
	// One that isn't ready: pods of an earlier Revision may serve.
	ofInferenceService := service("", nil)
	ofInferenceService.Name = is(nil, nil).ServiceName(v1beta1.PredictorComponent)
	ofInferenceService.OwnerReferences = []metav1.OwnerReference{*kmeta.NewControllerRef(is(nil, nil))}
	shared := knativeservice.MakeNamespaceTrust("models", knativeservice.Trust{PEM: "pem"})
	elsewhere := service("{}", nil)
	elsewhere.Namespace = "others"
	for what, test := range map[string]struct {
		objects []any
		shared  *corev1.ConfigMap
		want    bool
	}{
		"nobody":                                     {nil, shared, false},
		"an InferenceService with a logger":          {[]any{is(&v1beta1.LoggerSpec{}, nil)}, nil, true},
		"a deleted one":                              {[]any{is(&v1beta1.LoggerSpec{}, &now)}, shared, false},
		"one that had a logger":                      {[]any{is(nil, nil), ofInferenceService}, shared, true},
		"one that had a logger, and found no trust":  {[]any{is(nil, nil), ofInferenceService}, nil, false},
		"a bound Knative Service":                    {[]any{service("{}", nil)}, nil, true},
		"one that isn't bound":                       {[]any{service("", nil)}, shared, false},
		"a deleted one that was bound":               {[]any{service("{}", &now)}, shared, false},
		"one of another namespace":                   {[]any{elsewhere}, shared, false},
		"one that was bound, and has its ConfigMap":  {[]any{service("", nil), &corev1.ConfigMap{ObjectMeta: inNamespace("models")}}, shared, true},
		"one of another namespace has its ConfigMap": {[]any{&corev1.ConfigMap{ObjectMeta: inNamespace("others")}}, shared, false},
	} {
		indexer := func() cache.Indexer {
			return cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
		}
		inferenceServices, services, configMaps := indexer(), indexer(), indexer()
		for _, object := range test.objects {
			into := services
			switch object.(type) {
			case *v1beta1.InferenceService:
				into = inferenceServices
			case *corev1.ConfigMap:
				into = configMaps
			}
			if err := into.Add(object); err != nil {
				t.Fatal(err)
			}
		}
		readers := Readers{
			InferenceServices: v1beta1listers.NewInferenceServiceLister(inferenceServices),
			Services:          servingv1listers.NewServiceLister(services),
			OfBindings:        corev1listers.NewConfigMapLister(configMaps),
		}
		if got, err := readers.Read("models", test.shared); err != nil || got != test.want {
			t.Errorf("%s: %v, %v, want %v", what, got, err, test.want)
		}
	}
}
