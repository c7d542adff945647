/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inferenceservice

import (
	"knative.dev/pkg/apis"

	"github.com/sidenote-dev/sidenote/internal/knativeservice"
	"github.com/sidenote-dev/sidenote/internal/reconciler/sinks"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

const loggerPath = "spec.predictor.logger"

func sinkOf(is *v1beta1.InferenceService, cluster *config.Logger) *sinks.Sink {
	return sinks.Of(is.Namespace, is.Spec.Predictor.Logger, loggerPath, cluster)
}

func deadLetterSinkOf(is *v1beta1.InferenceService) *sinks.Sink {
	return sinks.DeadLetterOf(is.Namespace, is.Spec.Predictor.Logger, loggerPath)
}

// planSinks returns the destinations with their addresses, and says in the status
// whether they have one. The dead letter sink is nil if none is named.
func planSinks(is *v1beta1.InferenceService, live Live, cluster *config.Logger, status *v1beta1.InferenceServiceStatus) (sink knativeservice.DesiredSink, deadLetterSink *knativeservice.DesiredSink) {
	isSelf := func(url *apis.URL) bool {
		return knativeservice.LeadsTo(url, is.ServiceName(v1beta1.PredictorComponent), is.Namespace, is.Status.URL)
	}
	named := sinkOf(is, cluster)
	if reason, message := named.Accept(live.Sink, isSelf, cluster.AllowedAudiences); reason != "" {
		status.MarkSinkNotResolved(reason, message)
	} else {
		status.MarkSinkResolved()
	}
	letters := deadLetterSinkOf(is)
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
