/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	"regexp"
	"strings"

	"knative.dev/pkg/apis"
)

// reasonPodNotCreated is why a predictor isn't ready whose pods the API server
// refuses.
const reasonPodNotCreated = "PodNotCreated"

// scaleNeverAchieved is what Serving says of a Revision at its progress
// deadline. By then it has scaled the Deployment to zero, which no longer says
// what kept the pods from being created.
const scaleNeverAchieved = "Initial scale was never achieved"

// podForbidden is how the API server says that it refuses a pod. A Deployment
// repeats it, and so do the Revision and the Knative Service.
var podForbidden = regexp.MustCompile(`pods "[^"]*" is forbidden: `)

// explainFailure returns the reason and the message of a predictor that isn't
// ready, with the remedy where the API server refused its pod. before is what
// was said of the same Revision.
func explainFailure(failure, before *apis.Condition) (reason, message string) {
	switch {
	case podForbidden.MatchString(failure.Message):
		return reasonPodNotCreated, strings.TrimRight(failure.Message, ".") + "; " + podRemedy(failure.Message)
	case before != nil && before.Reason == reasonPodNotCreated && strings.Contains(failure.Message, scaleNeverAchieved):
		return before.Reason, before.Message
	default:
		return failure.Reason, failure.Message
	}
}

func podRemedy(message string) string {
	const resources = "the agent's in spec.predictor.logger.resources, the model's in spec.predictor.containers"
	switch {
	case strings.Contains(message, "usage per ") || strings.Contains(message, "limit to request ratio per "):
		return "set resources that the namespace's LimitRange allows: " + resources
	case strings.Contains(message, "exceeded quota"), strings.Contains(message, "failed quota"):
		return "set the resources that the namespace's ResourceQuota requires, within what it has left (" + resources + "), or raise the quota"
	case strings.Contains(message, "violates PodSecurity"):
		return "set a securityContext in spec.predictor.containers that the namespace's Pod security standard allows"
	default:
		return "change the specification so that it is allowed, or allow it in the namespace"
	}
}
