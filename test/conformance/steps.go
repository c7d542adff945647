/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package conformance

import "slices"

// Steps are those of a contract.
func Steps(contract string) ([]Step, error) {
	rows, err := rowSteps(contract)
	return slices.Concat(rows, typeSteps(), loopSteps(), choiceSteps(), attributeSteps(), countSteps(), samplingSteps(), sinkSteps(), ledgerSteps(), modeSteps(), profileSteps(), modelSteps()), err
}

// statements lists statements of the contract, each in full.
func statements(all ...string) []string { return all }
