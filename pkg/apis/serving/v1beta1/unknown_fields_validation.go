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
	kserveDocs   = "https://github.com/sidenote-dev/sidenote/blob/main/docs/kserve.md"
	adviceFormat = "not supported: use KServe with a LoggerBinding (" + kserveDocs + "), or give the model server as containers, with its image and port"
	adviceLater  = "not supported yet: remove it"
)

// specAdvice says what to write instead of a field of spec.
var specAdvice = map[string]string{
	"containers": "write it under spec.predictor",
	"logger":     "write it under spec.predictor",
	"default":    "v1alpha2 is not supported: write spec.predictor",
	"canary":     "v1alpha2 is not supported: write spec.predictor",
}

// predictorAdvice says what to write instead of a field of spec.predictor.
var predictorAdvice = map[string]string{
	"batcher":            adviceLater,
	"workerSpec":         adviceLater,
	"deploymentStrategy": adviceLater,
	"autoScaling":        "not supported: use the annotations autoscaling.knative.dev/* on the InferenceService",
	"scaleMetricType":    "not supported: scaleTarget is a percentage for cpu and MiB for memory; remove it",
	"timeoutSeconds":     "write timeout",
	"minScale":           "write minReplicas",
	"maxScale":           "write maxReplicas",
	"image":              "write it under spec.predictor.containers[0]",
	"storageUri":         "not supported: put the model into the container's image or a volume, or use KServe with a LoggerBinding (" + kserveDocs + ")",
	"custom":             "v1alpha2 is not supported: write spec.predictor.containers",
	"model":              adviceFormat,
	"sklearn":            adviceFormat,
	"xgboost":            adviceFormat,
	"tensorflow":         adviceFormat,
	"pytorch":            adviceFormat,
	"triton":             adviceFormat,
	"onnx":               adviceFormat,
	"huggingface":        adviceFormat,
	"pmml":               adviceFormat,
	"lightgbm":           adviceFormat,
	"paddle":             adviceFormat,
	"mlserver":           adviceFormat,
	"mlflow":             adviceFormat,
	"alibi":              adviceFormat,
	"art":                adviceFormat,
}

// loggerAdvice says what to write instead of a field of spec.predictor.logger.
var loggerAdvice = map[string]string{
	"annotations": "write metadataAnnotations",
	"storage":     adviceLater,
}

// Validate refuses every unknown field of a struct or of what is in it, and
// says of each what to write instead: by the advice, by the name that differs
// only in case, or by the few names that there are.
func (u UnknownFields) Validate(of reflect.Type, advice map[string]string) (errs *apis.FieldError) {
	for _, path := range u {
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
	known, types := fieldsOf(of)
	for _, parent := range parents {
		parent, _, _ = strings.Cut(parent, "[")
		known, types = fieldsOf(types[parent])
	}
	for _, candidate := range known {
		if strings.EqualFold(candidate, name) {
			return fmt.Sprintf("write %s", candidate)
		}
	}
	if len(parents) > 0 && len(known) > 0 {
		return fmt.Sprintf("%s, known fields are %s", general, strings.Join(known, ", "))
	}
	return general
}

// fieldsOf returns the JSON names of a struct's fields in their order, and the
// types of these fields. The struct may be behind a pointer or in a list. Any
// other type has no fields.
func fieldsOf(of reflect.Type) (names []string, types map[string]reflect.Type) {
	for of != nil && (of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice) {
		of = of.Elem()
	}
	if of == nil || of.Kind() != reflect.Struct {
		return nil, nil
	}
	types = make(map[string]reflect.Type)
	// The fields of an inlined struct follow it.
	for _, field := range reflect.VisibleFields(of) {
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" && name != "-" {
			names = append(names, name)
			types[name] = field.Type
		}
	}
	return names, types
}
