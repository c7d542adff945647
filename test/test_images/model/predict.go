/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import "math"

// predict is a logistic regression with the weight ln 2 on every feature and
// no bias: each unit of a feature doubles the odds. It gives one probability
// for each instance, so [1, 1], at odds of four to one, gives 0.8, and
// [-1, -1] gives 0.2.
func predict(instances [][]float64) []float64 {
	predictions := make([]float64, len(instances))
	for i, features := range instances {
		var logOdds float64
		for _, feature := range features {
			logOdds += feature
		}
		predictions[i] = 1 / (1 + math.Exp2(-logOdds))
	}
	return predictions
}
