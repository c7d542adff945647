/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	"fmt"
	"reflect"
	"strings"

	"knative.dev/pkg/apis"
)

const (
	adviceContainers = "not supported yet: give the model server as containers, with its image and port"
	adviceLater      = "not supported yet: remove it"
)

// specAdvice says what to write instead of a field of spec.
var specAdvice = map[string]string{
	"transformer": "not supported yet: remove it, only a predictor with containers is supported",
	"explainer":   "not supported yet: remove it, only a predictor with containers is supported",
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
	"storageUri":           "not supported yet: put the model into the container's image or a volume",
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
	"sampling":        adviceLater,
}

// validate refuses every unknown field of a struct or of what is in it, and
// says of each what to write instead: by the advice, by the name that differs
// only in case, or by the few names that there are.
func (u UnknownFields) validate(of reflect.Type, advice map[string]string) (errs *apis.FieldError) {
	for _, path := range u.Names() {
		details, found := advice[path]
		if !found {
			details = adviceByName(of, path)
		}
		errs = errs.Also(&apis.FieldError{
			Message: "unknown field",
			Paths:   []string{path},
			Details: details,
		})
	}
	return errs
}

// adviceByName looks at the fields that there are beside an unknown one.
func adviceByName(of reflect.Type, path string) string {
	const general = "remove it or correct its name"
	parents := strings.Split(path, ".")
	name := parents[len(parents)-1]
	parents = parents[:len(parents)-1]
	for _, parent := range parents {
		parent, _, _ = strings.Cut(parent, "[")
		fieldType, found := fieldNamed(of, parent)
		if !found {
			return general
		}
		if of, _ = structIn(fieldType); of == nil {
			return general
		}
	}
	known := fieldNames(of)
	for _, candidate := range known {
		if strings.EqualFold(candidate, name) {
			return fmt.Sprintf("write %s", candidate)
		}
	}
	if len(parents) > 0 {
		return fmt.Sprintf("%s, known fields are %s", general, strings.Join(known, ", "))
	}
	return general
}
