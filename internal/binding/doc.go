/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package binding decides which Knative Services get the agent of a LoggerBinding,
// and what their templates are with and without it. It does no I/O. Admission and
// the controller call the same functions, so both make the same template.
package binding
