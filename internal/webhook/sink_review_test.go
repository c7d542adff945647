/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	fakekube "k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	kubeclient "knative.dev/pkg/client/injection/kube/client"

	. "github.com/sidenote-dev/sidenote/internal/testing/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// withSinks is a logger with sinks in namespaces.
func withSinks(namespaces ...string) *v1beta1.LoggerSpec {
	logger := &v1beta1.LoggerSpec{}
	for _, namespace := range namespaces {
		logger.Sinks = append(logger.Sinks, v1beta1.LoggerSink{Name: "to-" + namespace, Sink: &duckv1.Destination{
			Ref: &duckv1.KReference{APIVersion: "eventing.knative.dev/v1", Kind: "Broker", Name: "default", Namespace: namespace},
		}})
	}
	return logger
}

func withLogger(logger *v1beta1.LoggerSpec) *v1beta1.InferenceService {
	is := Seed()
	is.SetGroupVersionKind(inferenceService)
	is.Spec.Predictor.Logger = logger
	return is
}

func asUnstructured(t *testing.T, object any) *unstructured.Unstructured {
	t.Helper()
	raw, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	result := &unstructured.Unstructured{}
	if err := result.UnmarshalJSON(raw); err != nil {
		t.Fatal(err)
	}
	return result
}

func TestTheUserOfARequestMayGetEachSinkThatItBringsIn(t *testing.T) {
	binding := &v1alpha1.LoggerBinding{}
	binding.SetGroupVersionKind(loggerBinding)
	binding.Name, binding.Namespace, binding.Spec.Logger = "b", Namespace, withSinks("a")
	transformed := withLogger(withSinks(Namespace))
	transformed.Spec.Transformer = transformed.Spec.Predictor.DeepCopy()
	transformed.Spec.Transformer.Logger = withSinks("a")
	for what, test := range map[string]struct {
		mode    config.CrossNamespaceSinks
		old     *v1beta1.InferenceService
		updated any
		// allowed is whether the user may get objects of the namespaces.
		allowed bool
		failure error
		asked   []string
		err     string
	}{
		"without reviews":                {config.CrossNamespaceAllowed, nil, withLogger(withSinks("a")), false, nil, nil, ""},
		"the own namespace":              {config.CrossNamespaceReview, nil, withLogger(withSinks(Namespace, "")), false, nil, nil, ""},
		"a permitted one":                {config.CrossNamespaceReview, nil, withLogger(withSinks("a", "b")), true, nil, []string{"a", "b"}, ""},
		"one that isn't":                 {config.CrossNamespaceReview, nil, withLogger(withSinks("a")), false, nil, []string{"a"}, `the user "jane" may not get Broker a/default`},
		"one that was there":             {config.CrossNamespaceReview, withLogger(withSinks("a")), withLogger(withSinks("a")), false, nil, nil, ""},
		"one beside one that was there":  {config.CrossNamespaceReview, withLogger(withSinks("a")), withLogger(withSinks("b", "a")), false, nil, []string{"b"}, "Broker b/default"},
		"that of a transformer":          {config.CrossNamespaceReview, nil, transformed, false, nil, []string{"a"}, "Broker a/default"},
		"that of a binding":              {config.CrossNamespaceReview, nil, binding, false, nil, []string{"a"}, "Broker a/default"},
		"an API server without a review": {config.CrossNamespaceReview, nil, withLogger(withSinks("a")), true, errors.New("down"), []string{"a"}, "down"},
	} {
		t.Run(what, func(t *testing.T) {
			client := fakekube.NewClientset()
			var asked []string
			client.PrependReactor("create", "subjectaccessreviews", func(action clienttesting.Action) (bool, runtime.Object, error) {
				review := action.(clienttesting.CreateAction).GetObject().(*authorizationv1.SubjectAccessReview).DeepCopy()
				wanted := authorizationv1.SubjectAccessReviewSpec{
					User: "jane", Groups: []string{"team"}, Extra: map[string]authorizationv1.ExtraValue{"scope": {"x"}},
					ResourceAttributes: &authorizationv1.ResourceAttributes{
						Verb: "get", Group: "eventing.knative.dev", Version: "v1", Resource: "brokers", Name: "default", Namespace: review.Spec.ResourceAttributes.Namespace,
					},
				}
				if diff := cmp.Diff(wanted, review.Spec); diff != "" {
					t.Errorf("the review (-want, +got): %s", diff)
				}
				asked = append(asked, review.Spec.ResourceAttributes.Namespace)
				review.Status.Allowed = test.allowed
				return true, review, test.failure
			})
			settings := config.FromContextOrDefaults(t.Context())
			settings.Logger.CrossNamespaceSinks = test.mode
			ctx := context.WithValue(config.ToContext(t.Context(), settings), kubeclient.Key{}, client)
			ctx = apis.WithUserInfo(ctx, &authenticationv1.UserInfo{Username: "jane", Groups: []string{"team"}, Extra: map[string]authenticationv1.ExtraValue{"scope": {"x"}}})
			if test.old != nil {
				ctx = apis.WithinUpdate(ctx, test.old)
			}
			err := reviewSinks(ctx, asUnstructured(t, test.updated))
			if (err == nil) != (test.err == "") || (err != nil && !strings.Contains(err.Error(), test.err)) {
				t.Errorf("error %v, want %q", err, test.err)
			}
			if diff := cmp.Diff(test.asked, asked); diff != "" {
				t.Errorf("asked (-want, +got): %s", diff)
			}
		})
	}
}
