/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package metadata maps the annotations of an InferenceService to CloudEvents
// extension attributes. It is pure, and the one place that knows the rules:
// the webhook refuses by them, the reconciler writes by them, and the agent
// checks its arguments by them.
package metadata
