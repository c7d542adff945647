/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1

import "context"

// SetDefaults implements apis.Defaultable.
func (b *LoggerBinding) SetDefaults(context.Context) {
	if b.Spec.Rollout == "" {
		b.Spec.Rollout = RolloutOnNextChange
	}
}
