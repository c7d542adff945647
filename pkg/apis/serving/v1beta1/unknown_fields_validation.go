/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	"fmt"
	"strings"

	"knative.dev/pkg/apis"
)

const (
	adviceContainers = "not supported yet: give the model server as containers, with its image and port"
	adviceLater      = "not supported yet: remove it"
)

// specAdvice says what to write instead of a field of spec.
var specAdvice = map[string]string{
	"transformer": "not supported yet: remove it, only a predictor with containers is",
	"explainer":   "not supported yet: remove it, only a predictor with containers is",
	"containers":  "write it under spec.predictor",
	"logger":      "write it under spec.predictor",
	"default":     "v1alpha2 is not supported: write spec.predictor",
	"canary":      "v1alpha2 is not supported: write spec.predictor",
}

// predictorAdvice says what to write instead of a field of spec.predictor.
var predictorAdvice = map[string]string{
	"canaryTrafficPercent": adviceLater,
	"batcher":              adviceLater,
	"workerSpec":           adviceLater,
	"deploymentStrategy":   adviceLater,
	"autoScaling":          "not supported: use the annotations autoscaling.knative.dev/* on the InferenceService",
	"scaleTarget":          "not supported: use the annotation autoscaling.knative.dev/target on the InferenceService",
	"scaleMetric":          "not supported: use the annotation autoscaling.knative.dev/metric on the InferenceService",
	"scaleMetricType":      "not supported: use the annotation autoscaling.knative.dev/metric on the InferenceService",
	"timeoutSeconds":       "write timeout",
	"minScale":             "write minReplicas",
	"maxScale":             "write maxReplicas",
	"image":                "write it under spec.predictor.containers[0]",
	"storageUri":           "not supported yet: let the container bring its model, in its image or a volume",
	"custom":               "v1alpha2 is not supported: write spec.predictor.containers",
	"model":                adviceContainers,
	"sklearn":              adviceContainers,
	"xgboost":              adviceContainers,
	"tensorflow":           adviceContainers,
	"pytorch":              adviceContainers,
	"triton":               adviceContainers,
	"onnx":                 adviceContainers,
	"huggingface":          adviceContainers,
	"pmml":                 adviceContainers,
	"lightgbm":             adviceContainers,
	"paddle":               adviceContainers,
	"mlserver":             adviceContainers,
	"mlflow":               adviceContainers,
}

// loggerAdvice says what to write instead of a field of spec.predictor.logger.
var loggerAdvice = map[string]string{
	"annotations":     "write metadataAnnotations",
	"metadataHeaders": adviceLater,
	"storage":         adviceLater,
	"spool":           adviceLater,
	"sampling":        adviceLater,
}

// validate refuses every unknown field, and says of each what to write
// instead: by the advice, or the name that differs only in case.
func (u UnknownFields) validate(known []string, advice map[string]string) (errs *apis.FieldError) {
	for _, name := range u.Names() {
		details, found := advice[name]
		if !found {
			details = "remove it or correct its name"
			for _, candidate := range known {
				if strings.EqualFold(candidate, name) {
					details = fmt.Sprintf("write %s", candidate)
				}
			}
		}
		errs = errs.Also(&apis.FieldError{
			Message: "unknown field",
			Paths:   []string{name},
			Details: details,
		})
	}
	return errs
}
