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

func sinkOf(component knativeservice.Component, cluster *config.Logger) *sinks.Sink {
	return sinks.Of(component.Of.Namespace, component.Spec.Logger, component.Type.LoggerPath(), cluster)
}

func deadLetterSinkOf(component knativeservice.Component) *sinks.Sink {
	return sinks.DeadLetterOf(component.Of.Namespace, component.Spec.Logger, component.Type.LoggerPath())
}

// planSinks returns the destinations with their addresses, and says in the status
// whether they have one. The dead letter sink is nil if none is named.
func planSinks(component knativeservice.Component, live LiveComponent, cluster *config.Logger, status *v1beta1.InferenceServiceStatus) (sink knativeservice.DesiredSink, deadLetterSink *knativeservice.DesiredSink) {
	isSelf := func(url *apis.URL) bool { return leadsBack(component.Of, url) }
	named := sinkOf(component, cluster)
	if reason, message := named.Accept(live.Sink, isSelf, cluster.AllowedAudiences); reason != "" {
		status.MarkSinkNotResolved(reason, message)
	} else {
		status.MarkSinkResolved()
	}
	letters := deadLetterSinkOf(component)
	if letters == nil {
		status.ClearDeadLetterSink()
		return named.DesiredSink, nil
	}
	if reason, message := letters.Accept(live.DeadLetterSink, isSelf, cluster.AllowedAudiences); reason != "" {
		status.MarkDeadLetterSinkNotResolved(reason, message)
	} else {
		status.MarkDeadLetterSinkResolved()
	}
	return named.DesiredSink, &letters.DesiredSink
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
