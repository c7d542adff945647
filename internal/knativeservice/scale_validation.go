/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"knative.dev/pkg/apis"
	"knative.dev/serving/pkg/apis/autoscaling"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// adviceMetric says what Serving takes as a metric, which depends on the class
// of the autoscaler.
const adviceMetric = "write concurrency or rps, or for cpu and memory also the annotation " + autoscaling.ClassAnnotationKey + ": " + autoscaling.HPA

// ofScale says of a predictor's field what Serving says of the annotation that
// the field became.
func ofScale(violations *apis.FieldError, predictor *v1beta1.PredictorSpec) (errs *apis.FieldError) {
	const annotations = "metadata.annotations."
	fields := make(map[string]string, 2)
	if predictor.ScaleTarget != nil {
		fields[annotations+autoscaling.TargetAnnotationKey] = "spec.predictor.scaleTarget"
	}
	if predictor.ScaleMetric != "" {
		fields[annotations+autoscaling.MetricAnnotationKey] = "spec.predictor.scaleMetric"
	}
	for _, violation := range violations.WrappedErrors() {
		own := *violation
		own.Paths = make([]string, 0, len(violation.Paths))
		for _, path := range violation.Paths {
			if field, found := fields[path]; found {
				path = field
				if path == "spec.predictor.scaleMetric" {
					own.Details = adviceMetric
				}
			}
			own.Paths = append(own.Paths, path)
		}
		errs = errs.Also(&own)
	}
	return errs
}
