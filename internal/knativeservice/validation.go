/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"knative.dev/pkg/apis"
	servingconfig "knative.dev/serving/pkg/apis/config"

	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// childPaths maps the paths of the child that Serving names to those of the
// InferenceService's predictor.
var childPaths = strings.NewReplacer(
	"spec.template.spec.timeoutSeconds", "spec.predictor.timeout",
	"spec.template.spec.", "spec.predictor.",
	"spec.template.metadata.", "metadata.",
)

// Validate says what Knative Serving would refuse of the Knative Services that
// an InferenceService makes, by Serving's own rules and the cluster's
// config-features and config-defaults, which the context carries. Of type
// v1beta1.ChildValidation.
func Validate(ctx context.Context, is *v1beta1.InferenceService) *apis.FieldError {
	var errs *apis.FieldError
	for _, component := range is.Spec.Components() {
		errs = errs.Also(component.Relocate(validateComponent(ctx, is, component)))
	}
	return errs
}

// validateComponent says it of a component as if that were the predictor.
func validateComponent(ctx context.Context, is *v1beta1.InferenceService, component v1beta1.ComponentType) *apis.FieldError {
	every := v1beta1.WantsEveryViolation(ctx)
	spec := is.Spec.Component(component)
	errs := validateProbes(ctx, spec).Also(validateEmptyDir(ctx, spec.Logger)).ViaField("spec", "predictor")
	if errs != nil && !every {
		return errs
	}
	is = is.DeepCopy()
	is.SetDefaults(ctx)
	if is.Name == "" {
		// It comes from generateName, later.
		is.Name = "name"
	}
	agent := *config.FromContextOrDefaults(ctx).Agent
	if agent.Image == "" {
		agent.Image = "agent"
	}
	// A context of its own: that of an update carries our old object, where
	// Serving expects one of its own.
	ctx = servingconfig.ToContext(apis.WithinCreate(context.Background()), servingconfig.FromContextOrDefaults(ctx))
	validate := func(is *v1beta1.InferenceService) *apis.FieldError {
		made := ComponentOf(is, component)
		service := MakeService(made, "", Applied{Agent: agent, MultiContainerProbing: MultiContainerProbing(ctx)})
		service.SetDefaults(ctx)
		return ofScale(asOwn(service.Validate(ctx), made.Spec.Containers), made.Spec)
	}
	// First without the agent, which takes over what Serving would judge: the
	// model's port and probes.
	bare := is.DeepCopy()
	bare.Spec.Component(component).Logger = nil
	ofServing := validate(bare)
	switch {
	case spec.Logger == nil:
	case every:
		ofServing = ofServing.Also(validate(is))
	case ofServing.Filter(apis.ErrorLevel) == nil:
		ofServing = validate(is)
	}
	return errs.Also(ofServing)
}

// features names the feature of Knative Serving that allows a field of a Pod's
// specification.
var features = map[string]string{
	"affinity":                  servingconfig.FeaturePodSpecAffinity,
	"dnsConfig":                 servingconfig.FeaturePodSpecDNSConfig,
	"dnsPolicy":                 servingconfig.FeaturePodSpecDNSPolicy,
	"hostAliases":               servingconfig.FeaturePodSpecHostAliases,
	"hostIPC":                   servingconfig.FeaturePodSpecHostIPC,
	"hostNetwork":               servingconfig.FeaturePodSpecHostNetwork,
	"hostPID":                   servingconfig.FeaturePodSpecHostPID,
	"initContainers":            servingconfig.FeaturePodSpecInitContainers,
	"nodeSelector":              servingconfig.FeaturePodSpecNodeSelector,
	"priorityClassName":         servingconfig.FeaturePodSpecPriorityClassName,
	"runtimeClassName":          servingconfig.FeaturePodSpecRuntimeClassName,
	"schedulerName":             servingconfig.FeaturePodSpecSchedulerName,
	"securityContext":           servingconfig.FeaturePodSpecSecurityContext,
	"shareProcessNamespace":     servingconfig.FeaturePodSpecShareProcessNamespace,
	"tolerations":               servingconfig.FeaturePodSpecTolerations,
	"topologySpreadConstraints": servingconfig.FeaturePodSpecTopologySpreadConstraints,
}

// disallowedAdvice says what to do about fields that Serving doesn't take.
func disallowedAdvice(paths []string) string {
	var flags []string
	for _, path := range paths {
		field, _, _ := strings.Cut(strings.TrimPrefix(path, "spec.predictor."), ".")
		flag, found := features[field]
		if strings.Contains(path, "Probe") {
			// Only those of a container without the port are refused so.
			flag, found = featureMultiContainerProbing, true
		}
		if found && !slices.Contains(flags, flag) {
			flags = append(flags, flag)
		}
	}
	if len(flags) == 0 {
		return "Knative Serving doesn't support it: remove it"
	}
	return fmt.Sprintf("Knative Serving accepts it only with a feature that is off: remove it, or set %s to enabled in Knative Serving's ConfigMap config-features", strings.Join(flags, ", "))
}

// asOwn returns each violation the paths of the InferenceService. What Serving
// says of the agent, which comes last, it has of the model: its port's name.
func asOwn(child *apis.FieldError, containers []corev1.Container) (errs *apis.FieldError) {
	const container = "spec.predictor.containers[%d]"
	modelPaths := strings.NewReplacer(fmt.Sprintf(container, len(containers)), fmt.Sprintf(container, max(portOwner(containers), 0)))
	for _, violation := range child.WrappedErrors() {
		own := *violation
		own.Paths = make([]string, 0, len(violation.Paths))
		for _, path := range violation.Paths {
			own.Paths = append(own.Paths, modelPaths.Replace(childPaths.Replace(path)))
		}
		if own.Message == apis.ErrDisallowedFields().Message {
			own.Details = disallowedAdvice(own.Paths)
		}
		errs = errs.Also(&own)
	}
	return errs
}

// validateEmptyDir refuses a logger where Serving takes no emptyDir: the agent
// has one in the place of a token for the Kubernetes API.
func validateEmptyDir(ctx context.Context, logger *v1beta1.LoggerSpec) *apis.FieldError {
	if logger == nil || servingconfig.FromContextOrDefaults(ctx).Features.PodSpecVolumesEmptyDir == servingconfig.Enabled {
		return nil
	}
	return &apis.FieldError{
		Message: "Knative Serving accepts the agent's volumes only with a feature that is off",
		Paths:   []string{"logger"},
		Details: fmt.Sprintf("remove the logger, or set %s to enabled in Knative Serving's ConfigMap config-features", servingconfig.FeaturePodSpecEmptyDir),
	}
}
