/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package resources

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"knative.dev/pkg/apis"
	servingconfig "knative.dev/serving/pkg/apis/config"

	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// childPaths maps the paths of the child that Serving names to those of the
// InferenceService.
var childPaths = strings.NewReplacer(
	"spec.template.spec.timeoutSeconds", "spec.predictor.timeout",
	"spec.template.spec.", "spec.predictor.",
	"spec.template.metadata.", "metadata.",
)

// Validate says what Knative Serving would refuse of the Knative Service that
// an InferenceService makes, by Serving's own rules and the cluster's
// config-features and config-defaults, which the context carries. Of type
// v1beta1.ChildValidation.
func Validate(ctx context.Context, is *v1beta1.InferenceService) *apis.FieldError {
	if errs := validateProbes(ctx, &is.Spec.Predictor).Also(validateEmptyDir(ctx, is.Spec.Predictor.Logger)); errs != nil {
		return errs.ViaField("spec", "predictor")
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
		service := MakeService(is, "", InForce{Agent: agent})
		service.SetDefaults(ctx)
		return asOwn(service.Validate(ctx), is.Spec.Predictor.Containers)
	}
	// First without the agent, which takes over what Serving would judge: the
	// model's port and probes.
	bare := is.DeepCopy()
	bare.Spec.Predictor.Logger = nil
	errs := validate(bare)
	if errs.Filter(apis.ErrorLevel) != nil || is.Spec.Predictor.Logger == nil {
		return errs
	}
	return validate(is)
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
		if flag, found := features[field]; found && !slices.Contains(flags, flag) {
			flags = append(flags, flag)
		}
	}
	if len(flags) == 0 {
		return "Knative Serving doesn't take it: remove it"
	}
	return fmt.Sprintf("Knative Serving takes it only with a feature that is off: remove it, or have %s set to enabled in Knative Serving's ConfigMap config-features", strings.Join(flags, ", "))
}

// asOwn gives each violation the paths of the InferenceService. What Serving
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

// validateProbes refuses the probes that would stay on the model where
// Serving takes none on a container without the port, and a named port that
// is not the model's.
func validateProbes(ctx context.Context, predictor *v1beta1.PredictorSpec) (errs *apis.FieldError) {
	owner := portOwner(predictor.Containers)
	if predictor.Logger == nil || owner < 0 {
		return nil
	}
	model := predictor.Containers[owner]
	probing := servingconfig.FromContextOrDefaults(ctx).Features.MultiContainerProbing == servingconfig.Enabled
	for _, place := range []struct {
		field string
		probe *corev1.Probe
		stays bool
	}{
		{"livenessProbe", model.LivenessProbe, true},
		{"readinessProbe", model.ReadinessProbe, staysOnModel(model.ReadinessProbe)},
		{"startupProbe", model.StartupProbe, staysOnModel(model.StartupProbe)},
	} {
		if place.probe == nil {
			continue
		}
		if place.stays && !probing {
			errs = errs.Also((&apis.FieldError{
				Message: "with a logger, Knative Serving takes this probe only with its feature multi-container-probing, which is off",
				Paths:   []string{place.field},
				Details: "remove it, or have multi-container-probing set to enabled in Knative Serving's ConfigMap config-features",
			}).ViaFieldIndex("containers", owner))
		}
		if !place.stays && place.probe.TerminationGracePeriodSeconds != nil {
			errs = errs.Also((&apis.FieldError{
				Message: "with a logger, the agent runs this probe, and ends no container",
				Paths:   []string{place.field + ".terminationGracePeriodSeconds"},
				Details: "remove it",
			}).ViaFieldIndex("containers", owner))
		}
		if name := unknownPort(place.probe, model.Ports[0]); name != "" {
			errs = errs.Also(apis.ErrInvalidValue(name, place.field, "the container has no port of that name: write its number").ViaFieldIndex("containers", owner))
		}
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
		Message: "Knative Serving takes the agent's volumes only with a feature that is off",
		Paths:   []string{"logger"},
		Details: fmt.Sprintf("remove the logger, or have %s set to enabled in Knative Serving's ConfigMap config-features", servingconfig.FeaturePodSpecEmptyDir),
	}
}

// unknownPort gives the name of a probe's port that is not the served port's.
func unknownPort(probe *corev1.Probe, served corev1.ContainerPort) string {
	var port intstr.IntOrString
	switch {
	case probe.HTTPGet != nil:
		port = probe.HTTPGet.Port
	case probe.TCPSocket != nil:
		port = probe.TCPSocket.Port
	}
	if port.Type == intstr.String && port.StrVal != served.Name {
		return port.StrVal
	}
	return ""
}
