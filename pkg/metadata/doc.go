/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package metadata maps annotations, labels, headers of requests and fixed values
// to CloudEvents extension attributes. It is pure. Webhook, reconciler and agent
// all use it, so that they apply the same rules.
package metadata
