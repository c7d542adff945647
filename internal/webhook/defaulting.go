/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package webhook

import (
	"context"
	"encoding/json"
	"fmt"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"knative.dev/pkg/apis"
	"knative.dev/pkg/apis/duck"

	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// defaultable is a kind that the webhook defaults.
type defaultable interface {
	runtime.Object
	apis.Defaultable
}

// newObject returns an empty object of a kind that the webhook defaults.
func newObject(kind schema.GroupVersionKind) defaultable {
	if kind == loggerBinding {
		return &v1alpha1.LoggerBinding{}
	}
	return &v1beta1.InferenceService{}
}

// setDefaults sets the defaults of an InferenceService or a LoggerBinding in the
// object as it came, and changes nothing else of it.
func setDefaults(ctx context.Context, object *unstructured.Unstructured) error {
	if apis.IsInStatusUpdate(ctx) || object.GetDeletionTimestamp() != nil {
		return nil
	}
	raw, err := object.MarshalJSON()
	if err != nil {
		return err
	}
	typed := newObject(object.GroupVersionKind())
	if err := json.Unmarshal(raw, typed); err != nil {
		// The API server compares with the schema next, and says better which
		// field has the wrong type.
		return nil
	}
	before := typed.DeepCopyObject()
	typed.SetDefaults(ctx)
	// Operation by operation: a merge patch would replace whole lists by what
	// the Go type makes of them, and a manifest would differ from its object.
	patch, err := duck.CreatePatch(before, typed)
	if err != nil {
		return fmt.Errorf("compare with the defaults: %w", err)
	}
	for i := range patch {
		if patch[i].Operation == "replace" {
			// The Go type writes an empty field that the object may lack. To add
			// sets it either way (RFC 6902, section 4.1).
			patch[i].Operation = "add"
		}
	}
	operations, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	decoded, err := jsonpatch.DecodePatch(operations)
	if err != nil {
		return fmt.Errorf("read the defaults: %w", err)
	}
	defaulted, err := decoded.Apply(raw)
	if err != nil {
		return fmt.Errorf("set the defaults: %w", err)
	}
	return object.UnmarshalJSON(defaulted)
}
