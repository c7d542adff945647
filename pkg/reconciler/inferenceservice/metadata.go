/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inferenceservice

import (
	"context"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
	"github.com/sidenote-dev/sidenote/pkg/reconciler/inferenceservice/resources"
)

// reconcileMetadata has running agents get the attributes where the metadata
// is live, and nothing otherwise. Others says that pods of another template
// serve, which keep what they read.
func (r *Reconciler) reconcileMetadata(ctx context.Context, is *v1beta1.InferenceService, attributes []metadata.Attribute, others bool) error {
	switch {
	case is.Spec.Predictor.Logger.MetadataRefresh == v1beta1.RefreshLive:
		return r.reconcileConfigMap(ctx, is, resources.MakeMetadata(is, attributes), nil, "MetadataUpdated")
	case others:
		return nil
	default:
		return r.removeConfigMap(ctx, is, is.MetadataName(v1beta1.PredictorComponent))
	}
}
