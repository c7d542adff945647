/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"knative.dev/pkg/apis"
	"knative.dev/serving/pkg/apis/autoscaling"

	"github.com/sidenote-dev/sidenote/pkg/apis/config"
)

// MaxNameLength is the length of the longest name of an InferenceService:
// what a DNS label leaves beside "-transformer-default" and Knative's longest
// tag prefix, so that no name that derives from it is ever hashed.
const MaxNameLength = 38

// leastTimeoutToDrain is the timeout in seconds below which a pod's end
// leaves an agent too little time: Knative's queue-proxy drains for 30 s of
// it.
const leastTimeoutToDrain = 45

// loggerPath is the path of the logger.
const loggerPath = "spec.predictor.logger"

// ChildValidation says what Knative Serving would refuse of the Knative
// Service that an InferenceService makes, with the InferenceService's paths.
type ChildValidation func(context.Context, *InferenceService) *apis.FieldError

type childValidationKey struct{}

// WithChildValidation returns a context in which Validate also asks Knative
// Serving.
func WithChildValidation(ctx context.Context, validate ChildValidation) context.Context {
	return context.WithValue(ctx, childValidationKey{}, validate)
}

type everyViolationKey struct{}

// WantsEveryViolation reports whether a ChildValidation is to name also what
// comes of a violation that it names already. An update is compared by it: who
// mends one violation must not be refused for another that it hid.
func WantsEveryViolation(ctx context.Context) bool { return ctx.Value(everyViolationKey{}) != nil }

// Validate implements apis.Validatable. It refuses only what the request
// brings in: what the object had before is a warning, and an object that is
// being deleted or whose status alone is written is let through.
func (is *InferenceService) Validate(ctx context.Context) *apis.FieldError {
	if apis.IsInStatusUpdate(ctx) || is.DeletionTimestamp != nil {
		return nil
	}
	errs := is.violations(ctx)
	if errs == nil || !apis.IsInUpdate(ctx) {
		return errs
	}
	old, isInferenceService := apis.GetBaseline(ctx).(*InferenceService)
	if !isInferenceService || old == nil {
		return errs
	}
	old = old.DeepCopy()
	old.SetDefaults(ctx)
	every := context.WithValue(ctx, everyViolationKey{}, true)
	before := old.violations(every)
	if errs = WarnOfOld(errs, before); errs.Filter(apis.ErrorLevel) != nil {
		return errs
	}
	// An old violation hides no new one either.
	return WarnOfOld(is.violations(every), before)
}

// WarnOfOld turns every error that was there before into a warning: path by
// path, for apis.FieldError merges like violations into one of several paths.
func WarnOfOld(errs, old *apis.FieldError) (result *apis.FieldError) {
	type place struct{ message, details, path string }
	known := make(map[place]bool)
	for _, violation := range old.WrappedErrors() {
		for _, path := range violation.Paths {
			known[place{violation.Message, violation.Details, path}] = true
		}
	}
	for _, violation := range errs.WrappedErrors() {
		before, added := *violation, *violation
		before.Paths, added.Paths = nil, nil
		for _, path := range violation.Paths {
			if known[place{violation.Message, violation.Details, path}] {
				before.Paths = append(before.Paths, path)
			} else {
				added.Paths = append(added.Paths, path)
			}
		}
		if len(before.Paths) > 0 {
			result = result.Also(before.At(apis.WarningLevel))
		}
		if len(added.Paths) > 0 {
			result = result.Also(&added)
		}
	}
	return result
}

func (is *InferenceService) violations(ctx context.Context) *apis.FieldError {
	errs := validateName(is.Name).ViaField("metadata")
	errs = errs.Also(is.Spec.Unknown.Validate(reflect.TypeFor[InferenceServiceSpec](), specAdvice).ViaField("spec"))
	for _, component := range is.Spec.Components() {
		errs = errs.Also(component.Relocate(is.withAsPredictor(component).violationsOfPredictor(ctx)))
	}
	errs = errs.Also(is.validateKServeAnnotations())
	if validate, found := ctx.Value(childValidationKey{}).(ChildValidation); found && (errs.Filter(apis.ErrorLevel) == nil || WantsEveryViolation(ctx)) {
		// What is refused already would only be refused again, less plainly.
		errs = errs.Also(validate(ctx, is))
	}
	return errs
}

func (is *InferenceService) violationsOfPredictor(ctx context.Context) *apis.FieldError {
	ctx = apis.WithinParent(ctx, is.ObjectMeta)
	errs := is.Spec.Predictor.validate(ctx).ViaField("spec", "predictor")
	errs = errs.Also(is.validateScale())
	if logger := is.Spec.Predictor.Logger; logger != nil {
		errs = errs.Also(logger.validateMetadata(ctx, loggerPath, is.MetadataObject()))
		errs = errs.Also(logger.ValidateSinksAreNot(is.isReferredTo, loggerPath))
	}
	return errs
}

func validateName(name string) *apis.FieldError {
	if name == "" {
		// With generateName the API server gives the name later.
		return nil
	}
	if len(name) > MaxNameLength {
		return apis.ErrInvalidValue(name, "name",
			fmt.Sprintf("it has %d characters: write at most %d, because names that are derived from it must fit a DNS label", len(name), MaxNameLength))
	}
	if problems := validation.IsDNS1035Label(name); len(problems) > 0 {
		return apis.ErrInvalidValue(name, "name", strings.Join(problems, "; "))
	}
	return nil
}

func (s *PredictorSpec) validate(ctx context.Context) *apis.FieldError {
	errs := s.Unknown.Validate(reflect.TypeFor[PredictorSpec](), predictorAdvice)
	errs = errs.Also(s.validateContainers())
	errs = errs.Also(s.validateVolumes())
	errs = errs.Also(s.validateCanary())
	if s.Logger != nil {
		errs = errs.Also(s.Logger.validate(ctx, loggerPath).ViaField("logger"))
		// Resources that are refused say nothing of the agent.
		if agent, resourceErrs := config.FromContextOrDefaults(ctx).Agent.WithResources(s.Logger.Resources); resourceErrs == nil {
			errs = errs.Also(s.validateConcurrency(agent))
		}
		if s.Timeout != nil && *s.Timeout < leastTimeoutToDrain {
			errs = errs.Also((&apis.FieldError{
				// On one line, as kubectl shows each line of a warning as one more.
				Message: fmt.Sprintf("with %d s the agent may lose events when a pod ends, write at least %d", *s.Timeout, leastTimeoutToDrain),
				Paths:   []string{"timeout"},
			}).At(apis.WarningLevel))
		}
	}
	return errs
}

// validateConcurrency refuses more requests at once than the agent passes on. A
// service that doesn't say gets no warning: every default object would have one.
func (s *PredictorSpec) validateConcurrency(agent *config.Agent) *apis.FieldError {
	const field = "containerConcurrency"
	switch most := agent.MaxExchanges; {
	case s.ContainerConcurrency == nil || most <= 0:
		return nil
	case *s.ContainerConcurrency > most:
		return apis.ErrInvalidValue(*s.ContainerConcurrency, field, fmt.Sprintf(
			"the agent has room for %d requests at once and responds to further ones with 503: write at most %d, or a higher memory limit in spec.predictor.logger.resources.limits.memory", most, most))
	case *s.ContainerConcurrency == 0:
		return (&apis.FieldError{
			Message: fmt.Sprintf("0 means no limit, but the agent has room for %d requests at once and responds to further ones with 503: write at most %d, so that further ones wait", most, most),
			Paths:   []string{field},
		}).At(apis.WarningLevel)
	}
	return nil
}

func (s *PredictorSpec) validateContainers() (errs *apis.FieldError) {
	if len(s.Containers) == 0 {
		return &apis.FieldError{
			Message: "missing field(s)",
			Paths:   []string{"containers"},
			Details: "write at least one container, with the image of a model server",
		}
	}
	var withPort []string
	for i := range s.Containers {
		container := &s.Containers[i]
		errs = errs.Also(validateContainer(container).ViaFieldIndex("containers", i))
		for j := range container.Ports {
			withPort = append(withPort, fmt.Sprintf("containers[%d].ports[%d]", i, j))
		}
	}
	for i := range s.InitContainers {
		errs = errs.Also(validateContainer(&s.InitContainers[i]).ViaFieldIndex("initContainers", i))
	}
	switch {
	case len(withPort) == 0:
		errs = errs.Also(&apis.FieldError{
			Message: "missing field(s)",
			Paths:   []string{"containers[*].ports"},
			Details: "with several containers, exactly one must have a port: set it on the container that serves the model",
		})
	case len(withPort) > 1:
		errs = errs.Also(&apis.FieldError{
			Message: "more than one port",
			Paths:   withPort,
			Details: "all containers together must declare exactly one port: keep the model's and remove the others, a container may listen on a port that it doesn't declare",
		})
	}
	return errs
}

func validateContainer(container *corev1.Container) (errs *apis.FieldError) {
	if strings.HasPrefix(container.Name, ReservedNamePrefix) {
		errs = errs.Also(apis.ErrInvalidValue(container.Name, "name",
			fmt.Sprintf("names that begin with %q are Sidenote's own: write another one", ReservedNamePrefix)))
	}
	for i, port := range container.Ports {
		if owner, taken := reservedPorts[port.ContainerPort]; taken {
			errs = errs.Also(apis.ErrInvalidValue(port.ContainerPort, "containerPort",
				fmt.Sprintf("the port is taken by %s: let the container listen on another one", owner)).ViaFieldIndex("ports", i))
		}
		if port.HostPort != 0 {
			errs = errs.Also(apis.ErrDisallowedFields("hostPort").ViaFieldIndex("ports", i))
		}
	}
	return errs
}

func (s *PredictorSpec) validateVolumes() (errs *apis.FieldError) {
	for i, volume := range s.Volumes {
		if strings.HasPrefix(volume.Name, ReservedNamePrefix) {
			errs = errs.Also(apis.ErrInvalidValue(volume.Name, "name",
				fmt.Sprintf("names that begin with %q are Sidenote's own: write another one", ReservedNamePrefix)).ViaFieldIndex("volumes", i))
		}
	}
	return errs
}

// validateScale refuses bounds that contradict each other, or an annotation
// that says the same in Knative's words.
func (is *InferenceService) validateScale() (errs *apis.FieldError) {
	const least, greatest, target = "minReplicas", "maxReplicas", "scaleTarget"
	numbers := []struct {
		field      string
		value      *int32
		from       int32
		annotation []string
	}{
		{least, is.Spec.Predictor.MinReplicas, 0, autoscaling.MinScaleAnnotation},
		{greatest, is.Spec.Predictor.MaxReplicas, 0, autoscaling.MaxScaleAnnotation},
		{target, is.Spec.Predictor.ScaleTarget, 1, autoscaling.TargetAnnotation},
	}
	for _, number := range numbers {
		if number.value == nil {
			continue
		}
		if *number.value < number.from {
			errs = errs.Also(apis.ErrInvalidValue(strconv.Itoa(int(*number.value)), "spec.predictor."+number.field, fmt.Sprintf("write %d or more", number.from)))
		}
		errs = errs.Also(is.validateNotAnnotated(number.field, number.annotation))
	}
	if metric := is.Spec.Predictor.ScaleMetric; metric != "" {
		errs = errs.Also(validateOneOf(metric, "spec.predictor.scaleMetric", ScaleByConcurrency, ScaleByRPS, ScaleByCPU, ScaleByMemory))
		errs = errs.Also(is.validateNotAnnotated("scaleMetric", autoscaling.MetricAnnotation))
	}
	minimum, maximum := is.Spec.Predictor.MinReplicas, is.Spec.Predictor.MaxReplicas
	if minimum != nil && maximum != nil && *maximum != 0 && *minimum > *maximum {
		errs = errs.Also(&apis.FieldError{
			Message: fmt.Sprintf("minReplicas %d is more than maxReplicas %d", *minimum, *maximum),
			Paths:   []string{"spec.predictor." + least, "spec.predictor." + greatest},
		})
	}
	return errs
}

// validateNotAnnotated refuses an annotation that says the same as a field of
// the predictor.
func (is *InferenceService) validateNotAnnotated(field string, annotations []string) (errs *apis.FieldError) {
	for _, key := range annotations {
		if _, found := is.Annotations[key]; found {
			errs = errs.Also(&apis.FieldError{
				Message: "expected exactly one, got both",
				Paths:   []string{"spec.predictor." + field, apis.CurrentField + "metadata.annotations[" + key + "]"},
				Details: "remove one of them",
			})
		}
	}
	return errs
}

// validateCanary refuses what is no percentage.
func (s *PredictorSpec) validateCanary() *apis.FieldError {
	if percent := s.CanaryTrafficPercent; percent != nil && (*percent < 0 || *percent > 100) {
		return apis.ErrInvalidValue(*percent, "canaryTrafficPercent", "write from 0 to 100")
	}
	return nil
}

// quoted joins values for a message, each in quotes.
func quoted[T ~string](values []T) string {
	text := make([]string, 0, len(values))
	for _, value := range values {
		text = append(text, strconv.Quote(string(value)))
	}
	return strings.Join(text, ", ")
}

// validateOneOf refuses a value that is neither empty nor one of those
// allowed.
func validateOneOf[T ~string](value T, field string, allowed ...T) *apis.FieldError {
	if value == "" || slices.Contains(allowed, value) {
		return nil
	}
	return apis.ErrInvalidValue(string(value), field, "write one of "+quoted(allowed))
}
