/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	"slices"
	"strings"

	"knative.dev/pkg/apis"
)

// ComponentType names a part of an InferenceService. Each is a Knative Service.
type ComponentType string

const (
	// PredictorComponent is the model.
	PredictorComponent ComponentType = "predictor"
	// TransformerComponent stands in front of the model: it changes requests and
	// responses, and calls the predictor.
	TransformerComponent ComponentType = "transformer"
	// ExplainerComponent explains predictions, and calls the predictor.
	ExplainerComponent ComponentType = "explainer"
)

// ComponentTypes returns all of them, the predictor first.
func ComponentTypes() []ComponentType {
	return []ComponentType{PredictorComponent, TransformerComponent, ExplainerComponent}
}

// Path returns the path of the component's specification.
func (c ComponentType) Path() string { return "spec." + string(c) }

// LoggerPath returns the path of the component's logger.
func (c ComponentType) LoggerPath() string { return c.Path() + ".logger" }

// ReadyCondition returns the condition that says whether the component's Knative
// Service is ready.
func (c ComponentType) ReadyCondition() apis.ConditionType {
	switch c {
	case TransformerComponent:
		return TransformerReady
	case ExplainerComponent:
		return ExplainerReady
	default:
		return PredictorReady
	}
}

// Relocate says of the component's fields what violations say of the
// predictor's.
func (c ComponentType) Relocate(violations *apis.FieldError) (errs *apis.FieldError) {
	if c == PredictorComponent {
		return violations
	}
	move := func(text string) string { return strings.ReplaceAll(text, PredictorComponent.Path(), c.Path()) }
	for _, violation := range violations.WrappedErrors() {
		moved := *violation
		moved.Message, moved.Details = move(moved.Message), move(moved.Details)
		moved.Paths = slices.Clone(moved.Paths)
		for i := range moved.Paths {
			moved.Paths[i] = move(moved.Paths[i])
		}
		errs = errs.Also(&moved)
	}
	return errs
}

// Component returns the specification of a component, or nil without one.
func (s *InferenceServiceSpec) Component(component ComponentType) *PredictorSpec {
	switch component {
	case PredictorComponent:
		return &s.Predictor
	case TransformerComponent:
		return s.Transformer
	case ExplainerComponent:
		return s.Explainer
	default:
		return nil
	}
}

// Components returns the components that there are, the predictor first.
func (s *InferenceServiceSpec) Components() []ComponentType {
	return slices.DeleteFunc(ComponentTypes(), func(component ComponentType) bool { return s.Component(component) == nil })
}

// Front returns the component that responds for the whole InferenceService.
func (s *InferenceServiceSpec) Front() ComponentType {
	if s.Transformer != nil {
		return TransformerComponent
	}
	return PredictorComponent
}

// HasLogger reports whether a component has a logger.
func (s *InferenceServiceSpec) HasLogger() bool {
	return slices.ContainsFunc(s.Components(), func(component ComponentType) bool { return s.Component(component).Logger != nil })
}

// withAsPredictor returns a shallow copy that has a component's specification as
// that of the predictor. All components follow the same rules.
func (is *InferenceService) withAsPredictor(component ComponentType) *InferenceService {
	viewed := *is
	viewed.Spec.Predictor = *is.Spec.Component(component)
	return &viewed
}
