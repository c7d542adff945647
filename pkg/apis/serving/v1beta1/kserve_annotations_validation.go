/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	"fmt"
	"slices"
	"strings"

	"knative.dev/pkg/apis"
)

// kserveGroups begin the annotations by which KServe, and KFServing before it,
// decide how a model is run.
var kserveGroups = []string{"serving.kserve.io/", "serving.kubeflow.org/"}

// kserveAnnotations are those that would mean another way of running the model
// than on Knative Serving, by what follows the group: to ignore one would run
// it in a way that its owner did not ask for.
var kserveAnnotations = []struct {
	name string
	// same are the values that mean what is done here.
	same    []string
	details string
}{
	{"deploymentMode", []string{"Serverless", "Knative"}, "remove it: every model runs on Knative Serving, as with Serverless"},
	{"raw", []string{"false"}, "remove it: every model runs on Knative Serving"},
	{"autoscalerClass", nil, "replace it by autoscaling.knative.dev/class"},
	{"stop", []string{"false"}, "remove it, and delete the InferenceService to stop it, or let it scale to zero with minReplicas: 0"},
}

// validateKServeAnnotations refuses what would change how the model is run.
func (is *InferenceService) validateKServeAnnotations() (errs *apis.FieldError) {
	for _, group := range kserveGroups {
		for _, annotation := range kserveAnnotations {
			key := group + annotation.name
			value, found := is.Annotations[key]
			if !found || slices.ContainsFunc(annotation.same, func(same string) bool { return strings.EqualFold(same, value) }) {
				continue
			}
			errs = errs.Also(&apis.FieldError{
				Message: fmt.Sprintf("not supported: %q", value),
				Paths:   []string{"metadata.annotations[" + key + "]"},
				Details: annotation.details,
			})
		}
	}
	return errs
}
