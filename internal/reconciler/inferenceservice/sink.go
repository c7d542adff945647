/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inferenceservice

import (
	"slices"

	"knative.dev/pkg/apis"

	"github.com/sidenote-dev/sidenote/internal/knativeservice"
	"github.com/sidenote-dev/sidenote/internal/reconciler/sinks"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

func sinksOf(component knativeservice.Component, cluster *config.Logger) []sinks.Pair {
	return sinks.Of(component.Of.Namespace, component.Spec.Logger, component.Type.LoggerPath(), cluster)
}

// planSinks returns the destinations with their addresses, and says in the status
// whether they have one.
func planSinks(component knativeservice.Component, live LiveComponent, cluster *config.Logger, status *v1beta1.InferenceServiceStatus) sinks.Accepted {
	isSelf := func(url *apis.URL) bool { return leadsBack(component.Of, url) }
	accepted := sinks.Accept(sinksOf(component, cluster), live.Sinks, isSelf, cluster)
	if problem := accepted.Sinks; problem.Reason != "" {
		status.MarkSinkNotResolved(problem.Reason, problem.Message)
	} else {
		status.MarkSinkResolved()
	}
	switch problem := accepted.DeadLetterSinks; {
	case !accepted.HasDeadLetterSinks:
		status.ClearDeadLetterSink()
	case problem.Reason != "":
		status.MarkDeadLetterSinkNotResolved(problem.Reason, problem.Message)
	default:
		status.MarkDeadLetterSinkResolved()
	}
	return accepted
}

// leadsBack reports whether the address of a sink is that of the InferenceService
// or of a component. Events that a component gets make further events of each one
// behind it.
func leadsBack(is *v1beta1.InferenceService, sink *apis.URL) bool {
	if is.Status.GetCondition(v1beta1.RouteReady).IsTrue() && knativeservice.LeadsTo(sink, is.Name, is.Namespace, is.Status.URL) {
		// Otherwise somebody else may have that name.
		return true
	}
	return slices.ContainsFunc(is.Spec.Components(), func(component v1beta1.ComponentType) bool {
		return knativeservice.LeadsTo(sink, is.ServiceName(component), is.Namespace, is.Status.Components[component].URL)
	})
}
