//go:build e2e && kserve

/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package e2e

import (
	"testing"

	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/test/e2e/features"
)

// TestKServeSteadyControlPlane runs first and alone: its features change the
// control plane and KServe's.
func TestKServeSteadyControlPlane(t *testing.T) {
	ctx, env := newEnvironment(t)
	for _, f := range []*feature.Feature{
		features.SteadyKServe(),
		features.TenReconcilesOfKServe(),
		features.NewAgentUnderKServe(),
		features.OneRevisionForTheOwnerOfKServe(),
	} {
		env.Test(ctx, t, f)
		if t.Failed() {
			t.Fatalf("%s failed, and those after it build on it", f.Name)
		}
	}
}

func TestKServe(t *testing.T) {
	for name, f := range map[string]*feature.Feature{
		"Components":  features.KServeComponents(),
		"Now":         features.KServeNow(),
		"Canary":      features.KServeCanary(),
		"Update":      features.KServeUpdate(),
		"OwnLogger":   features.KServeLogger(),
		"NotIncluded": features.KServeNotIncluded(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, env := newEnvironment(t)
			env.Test(ctx, t, f)
		})
	}
}
