//go:build tools

/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package traefik pins Traefik, the local cluster's ingress for Knative.
package traefik

import _ "github.com/traefik/traefik/v3/cmd/traefik"
