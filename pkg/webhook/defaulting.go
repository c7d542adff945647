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
	"knative.dev/pkg/apis"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// setDefaults sets the defaults of an InferenceService in the object as it
// came, and changes nothing else of it.
func setDefaults(ctx context.Context, object *unstructured.Unstructured) error {
	if apis.IsInStatusUpdate(ctx) || object.GetDeletionTimestamp() != nil {
		return nil
	}
	raw, err := object.MarshalJSON()
	if err != nil {
		return err
	}
	var is v1beta1.InferenceService
	if err := json.Unmarshal(raw, &is); err != nil {
		// The API server compares with the schema next, and says better which
		// field has the wrong type.
		return nil
	}
	before, err := json.Marshal(&is)
	if err != nil {
		return err
	}
	is.SetDefaults(ctx)
	after, err := json.Marshal(&is)
	if err != nil {
		return err
	}
	patch, err := jsonpatch.CreateMergePatch(before, after)
	if err != nil {
		return fmt.Errorf("compare with the defaults: %w", err)
	}
	defaulted, err := jsonpatch.MergePatch(raw, patch)
	if err != nil {
		return fmt.Errorf("set the defaults: %w", err)
	}
	return object.UnmarshalJSON(defaulted)
}
