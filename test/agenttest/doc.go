/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package agenttest is the test kit of the agent: a model, a sink that reads
// events as Knative's receivers do, and the waits between them. Everything is
// on the loopback and ends with its test. It imports no package of the agent,
// so that the tests inside any of them can use it.
package agenttest
