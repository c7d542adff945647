/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1

import (
	"context"

	"knative.dev/pkg/apis"
)

// SetDefaults implements apis.Defaultable. It is idempotent.
func (b *LoggerBinding) SetDefaults(ctx context.Context) {
	if b.DeletionTimestamp != nil {
		return
	}
	if b.Spec.Rollout == "" {
		b.Spec.Rollout = RolloutOnNextChange
	}
	if b.Spec.Logger != nil {
		b.Spec.Logger.SetDefaults(apis.WithinParent(ctx, b.ObjectMeta))
	}
}
