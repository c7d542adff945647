/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	kubeclient "knative.dev/pkg/client/injection/kube/client"

	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// reviewTimeout bounds all reviews of a request. The API server gives the webhook
// 10 s.
const reviewTimeout = 5 * time.Second

// reviewSinks refuses a sink of another namespace that the requesting user may not
// get, if the cluster asks for a review. It looks only at what the request brings
// in.
func reviewSinks(ctx context.Context, object *unstructured.Unstructured) error {
	if config.FromContextOrDefaults(ctx).Logger.CrossNamespaceSinks != config.CrossNamespaceReview ||
		apis.IsInStatusUpdate(ctx) || object.GetDeletionTimestamp() != nil {
		return nil
	}
	refs, err := addedSinks(ctx, object)
	if err != nil || len(refs) == 0 {
		return err
	}
	user := apis.GetUserInfo(ctx)
	if user == nil {
		return errors.New("the request has no user")
	}
	ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
	defer cancel()
	reviews := kubeclient.Get(ctx).AuthorizationV1().SubjectAccessReviews()
	var refusals []error
	for _, ref := range refs {
		review, err := reviews.Create(ctx, reviewOf(user, ref), metav1.CreateOptions{})
		if err != nil {
			return fmt.Errorf("ask whether the user %q may get the sink %s %s/%s: %w", user.Username, ref.Kind, ref.Namespace, ref.Name, err)
		}
		if !review.Status.Allowed {
			refusals = append(refusals, fmt.Errorf("the user %q may not get %s %s/%s, which is a sink in another namespace: name another sink, or have a role with the verb get for it granted", user.Username, ref.Kind, ref.Namespace, ref.Name))
		}
	}
	return errors.Join(refusals...)
}

// reviewOf asks whether a user may get an object.
func reviewOf(user *authenticationv1.UserInfo, ref duckv1.KReference) *authorizationv1.SubjectAccessReview {
	extra := make(map[string]authorizationv1.ExtraValue, len(user.Extra))
	for key, values := range user.Extra {
		extra[key] = authorizationv1.ExtraValue(values)
	}
	kind := schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind)
	resource, _ := meta.UnsafeGuessKindToResource(kind)
	return &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user.Username, UID: user.UID, Groups: user.Groups, Extra: extra,
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: "get", Group: kind.Group, Version: kind.Version, Resource: resource.Resource,
			Namespace: ref.Namespace, Name: ref.Name,
		},
	}}
}

// addedSinks returns the objects of other namespaces that a request names as sinks
// and that the object before it didn't, each once.
func addedSinks(ctx context.Context, object *unstructured.Unstructured) ([]duckv1.KReference, error) {
	raw, err := object.MarshalJSON()
	if err != nil {
		return nil, err
	}
	updated := newObject(object.GroupVersionKind())
	if err := json.Unmarshal(raw, updated); err != nil {
		return nil, fmt.Errorf("read the object: %w", err)
	}
	var before []duckv1.KReference
	if apis.IsInUpdate(ctx) {
		before = foreignSinks(apis.GetBaseline(ctx))
	}
	return slices.DeleteFunc(foreignSinks(updated), func(ref duckv1.KReference) bool { return slices.Contains(before, ref) }), nil
}

// foreignSinks returns the objects of other namespaces that the loggers of an object
// name as sinks and dead letter sinks, each once.
func foreignSinks(object any) (refs []duckv1.KReference) {
	var namespace string
	var loggers []*v1beta1.LoggerSpec
	switch object := object.(type) {
	case *v1beta1.InferenceService:
		namespace = object.Namespace
		for _, component := range object.Spec.Components() {
			loggers = append(loggers, object.Spec.Component(component).Logger)
		}
	case *v1alpha1.LoggerBinding:
		namespace, loggers = object.Namespace, append(loggers, object.Spec.Logger)
	}
	for _, logger := range loggers {
		if logger == nil {
			continue
		}
		for _, sink := range logger.EffectiveSinks() {
			for _, destination := range []*duckv1.Destination{sink.Destination(), sink.DeadLetterSink()} {
				if destination == nil || !config.IsForeign(destination.Ref, namespace) {
					continue
				}
				ref := *destination.Ref
				// One object has several addresses.
				ref.Address, ref.Group = nil, ""
				if !slices.Contains(refs, ref) {
					refs = append(refs, ref)
				}
			}
		}
	}
	return refs
}
