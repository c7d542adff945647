/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"knative.dev/pkg/apis"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// As Serving 0.50 passes it on, from a Deployment's condition ReplicaFailure.
func forbidden(why string) string {
	return `Revision "r-00001" failed with message: pods "r-00001-deployment-5c8d7f-" is forbidden: ` + why + "."
}

func TestAPodThatIsForbiddenIsNamedWithTheRemedy(t *testing.T) {
	for message, remedy := range map[string]string{
		forbidden("maximum cpu usage per Container is 800m, but limit is 1"):                                                                  "LimitRange allows: the agent's in spec.predictor.logger.resources",
		forbidden("minimum memory usage per Container is 128Mi, but request is 64Mi"):                                                         "spec.predictor.logger.resources",
		forbidden("exceeded quota: team, requested: limits.memory=128Mi, used: limits.memory=1Gi, limited: limits.memory=1Gi"):                "ResourceQuota",
		forbidden("failed quota: team: must specify limits.cpu for: sidenote-agent"):                                                          "spec.predictor.logger.resources",
		forbidden(`violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "kfserving-container" must set x)`): "securityContext",
		forbidden("no 100% of it"): "allow it in the namespace",
	} {
		var status v1beta1.InferenceServiceStatus
		status.PropagateService(v1beta1.PredictorComponent, servingService(withReady(corev1.ConditionFalse, "RevisionFailed", message)))
		got := said(&status, v1beta1.PredictorReady)
		if !strings.HasPrefix(got, "False PodNotCreated "+strings.TrimSuffix(message, ".")+"; ") || !strings.Contains(got, remedy) {
			t.Errorf("of %s it says %q, want %q", message, got, remedy)
		}
	}
}

// Serving forgets the cause at the progress deadline.
func TestWhyAPodIsForbiddenIsKeptForItsRevision(t *testing.T) {
	of := func(revision, message string) *servingv1.Service {
		return servingService(withReady(corev1.ConditionFalse, "RevisionFailed", message),
			func(s *servingv1.Service) { s.Status.LatestCreatedRevisionName = revision })
	}
	const late = `Revision "r-00001" failed with message: Initial scale was never achieved.`
	var status v1beta1.InferenceServiceStatus
	status.PropagateService(v1beta1.PredictorComponent, of("r-00001", forbidden("maximum cpu usage per Container is 800m, but limit is 1")))
	cause := said(&status, v1beta1.PredictorReady)
	for range 2 {
		status.PropagateService(v1beta1.PredictorComponent, of("r-00001", late))
		if got := said(&status, v1beta1.PredictorReady); got != cause {
			t.Errorf("later it says %q, want %q", got, cause)
		}
	}
	status.PropagateService(v1beta1.PredictorComponent, of("r-00001", "no image"))
	if got := said(&status, v1beta1.PredictorReady); got != "False RevisionFailed no image" {
		t.Errorf("of another cause it says %q", got)
	}
	status.PropagateService(v1beta1.PredictorComponent, of("r-00001", forbidden("x")))
	status.PropagateService(v1beta1.PredictorComponent, of("r-00002", late))
	if got := said(&status, v1beta1.PredictorReady); got != "False RevisionFailed "+late {
		t.Errorf("of another Revision it says %q", got)
	}
	if got := status.GetCondition(apis.ConditionReady); !got.IsFalse() {
		t.Errorf("Ready is %v", got)
	}
}
