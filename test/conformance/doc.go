/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package conformance holds the event contract as steps: each sentence and each row of
// docs/event-contract.md is named by the step that checks it, by a test elsewhere that
// holds it, or among the explanations. TestEverySentenceHasAStep fails for any other.
//
// A step talks to the test model through an agent and sees what a subscriber gets. The
// same steps run
//
//   - against a process, by go test ./test/conformance, which builds the agent of this
//     tree unless -agent=PATH names another binary;
//   - through a Broker and a Trigger of a cluster, by the features of test/e2e, except
//     those that say why they can't.
//
// To add a feature to the contract: write its sentences there, its step in the file of
// their section, and a Logger if none of those in logger.go configures it.
package conformance
