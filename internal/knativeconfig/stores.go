/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeconfig

import (
	"context"

	"knative.dev/pkg/reconciler"
)

// Stores makes one configuration store of several, for a reconciler that needs
// the configuration of Sidenote and of Knative Serving.
type Stores []reconciler.ConfigStore

// ToContext implements reconciler.ConfigStore.
func (s Stores) ToContext(ctx context.Context) context.Context {
	for _, store := range s {
		ctx = store.ToContext(ctx)
	}
	return ctx
}
