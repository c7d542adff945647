/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"knative.dev/pkg/apis"
	servingconfig "knative.dev/serving/pkg/apis/config"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// MultiContainerProbing reports whether Knative Serving takes probes on
// containers without the port.
func MultiContainerProbing(ctx context.Context) bool {
	return servingconfig.FromContextOrDefaults(ctx).Features.MultiContainerProbing == servingconfig.Enabled
}

// featureMultiContainerProbing is the name that Serving keeps to itself.
const featureMultiContainerProbing = "multi-container-probing"

const (
	liveness     = "livenessProbe"
	startup      = "startupProbe"
	readyToServe = "readinessProbe"
)

// needsMultiContainerProbing reports whether one of the containers has a probe
// that Knative Serving takes only with its feature.
func needsMultiContainerProbing(containers []corev1.Container) bool {
	owner := portOwner(containers)
	for i := range containers {
		for field, probe := range probeFields(&containers[i]) {
			if probe != nil && (i != owner || field != readyToServe || !runsInAgent(probe)) {
				return true
			}
		}
	}
	return false
}

// probeFields are the probes of a container by their fields' names.
func probeFields(container *corev1.Container) map[string]*corev1.Probe {
	return map[string]*corev1.Probe{
		liveness: container.LivenessProbe, startup: container.StartupProbe, readyToServe: container.ReadinessProbe,
	}
}

// validateProbes refuses, with a logger, what the agent or the kubelet could
// not do as it is written. Serving and the API server would say nothing of
// most of it until a Revision fails.
func validateProbes(ctx context.Context, predictor *v1beta1.PredictorSpec) (errs *apis.FieldError) {
	owner := portOwner(predictor.Containers)
	if predictor.Logger == nil || owner < 0 {
		return nil
	}
	for i := range predictor.Containers {
		container := &predictor.Containers[i]
		served := corev1.ContainerPort{}
		if i == owner {
			served = container.Ports[0]
		}
		for field, probe := range probeFields(container) {
			if probe == nil {
				continue
			}
			violations := validateProbe(field, probe, served.Name)
			if i == owner {
				violations = violations.Also(validateModelsProbe(field, probe, MultiContainerProbing(ctx)))
			}
			errs = errs.Also(violations.ViaFieldIndex("containers", i))
		}
	}
	return errs
}

// validateModelsProbe says which probes the model can't have behind an agent.
func validateModelsProbe(field string, probe *corev1.Probe, multiContainerProbing bool) *apis.FieldError {
	if multiContainerProbing || (field == readyToServe && runsInAgent(probe)) {
		return nil
	}
	remedy := "remove it"
	if field == startup && runsInAgent(probe) {
		remedy = "write it as the readinessProbe, which holds back requests until the model has started but does not restart it"
	}
	return &apis.FieldError{
		Message: "with a logger, Knative Serving accepts this probe only with its feature " + featureMultiContainerProbing + ", which is off",
		Paths:   []string{field},
		Details: fmt.Sprintf("set %s to enabled in Knative Serving's ConfigMap config-features, or %s", featureMultiContainerProbing, remedy),
	}
}

// validateProbe holds a probe against the rules of Kubernetes that Serving
// doesn't check, and those of the agent. portName is that of the container's
// port, if any.
func validateProbe(field string, probe *corev1.Probe, portName string) (errs *apis.FieldError) {
	for name, value := range map[string]int32{
		"initialDelaySeconds": probe.InitialDelaySeconds,
		"timeoutSeconds":      probe.TimeoutSeconds,
		"periodSeconds":       probe.PeriodSeconds,
		"successThreshold":    probe.SuccessThreshold,
		"failureThreshold":    probe.FailureThreshold,
	} {
		if value < 0 {
			errs = errs.Also(apis.ErrInvalidValue(value, field+"."+name, "write 0 or more"))
		}
	}
	if field != readyToServe && probe.SuccessThreshold > 1 {
		errs = errs.Also(apis.ErrInvalidValue(probe.SuccessThreshold, field+".successThreshold", "it must be 1: remove it"))
	}
	if probe.TerminationGracePeriodSeconds != nil {
		refused := &apis.FieldError{Message: "a readiness probe doesn't end a container", Paths: []string{field + ".terminationGracePeriodSeconds"}, Details: "remove it"}
		if field != readyToServe {
			// Its types and its validation have the field, its CustomResourceDefinitions
			// don't.
			refused.Message = "Knative Serving drops this field"
			refused.Details = "remove it: spec.predictor.timeout is the grace period of the whole pod"
		}
		errs = errs.Also(refused)
	}
	if name := unknownPort(probe, portName); name != "" {
		return errs.Also(apis.ErrInvalidValue(name, field, "the container has no port of that name: write its number"))
	}
	if errs != nil || !runsInAgent(probe) || handlers(probe) > 1 {
		// Serving says that there is more than one.
		return errs
	}
	probe = forAgent(probe, corev1.ContainerPort{ContainerPort: v1beta1.DefaultPort})
	resolvePort(probe, true, corev1.ContainerPort{ContainerPort: v1beta1.DefaultPort})
	converted, err := agentProbe(probe)
	if err == nil {
		err = converted.Validate()
	}
	if err != nil {
		return &apis.FieldError{Message: "invalid probe", Paths: []string{field}, Details: err.Error()}
	}
	return nil
}

func handlers(probe *corev1.Probe) (count int) {
	for _, isSet := range []bool{probe.HTTPGet != nil, probe.TCPSocket != nil, probe.GRPC != nil, probe.Exec != nil} {
		if isSet {
			count++
		}
	}
	return count
}

// unknownPort returns the name of a probe's port that is not the container's.
func unknownPort(probe *corev1.Probe, portName string) string {
	var port intstr.IntOrString
	switch {
	case probe.HTTPGet != nil:
		port = probe.HTTPGet.Port
	case probe.TCPSocket != nil:
		port = probe.TCPSocket.Port
	}
	if port.Type == intstr.String && port.StrVal != portName && port.IntValue() == 0 {
		return port.StrVal
	}
	return ""
}

// ValidateInjection says what of a pod the agent or the kubelet could not do with
// an agent in front of the model.
func ValidateInjection(ctx context.Context, pod *corev1.PodSpec) *apis.FieldError {
	pod = pod.DeepCopy()
	if owner, port := served(pod.Containers); owner >= 0 {
		pod.Containers[owner].Ports = []corev1.ContainerPort{port}
	}
	predictor := &v1beta1.PredictorSpec{PodSpec: *pod, Logger: &v1beta1.LoggerSpec{}}
	return validateProbes(ctx, predictor).Also(validateEmptyDir(ctx, predictor.Logger))
}
