//go:build e2e && tls

/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package e2e

import (
	"testing"

	"github.com/sidenote-dev/sidenote/test/e2e/features"
)

// TestStrictTLS runs with strict transport encryption and with OIDC in Eventing.
func TestStrictTLS(t *testing.T) {
	ctx, env := newEnvironment(t)
	env.Test(ctx, t, features.StrictTLS())
}
