/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"knative.dev/pkg/kmeta"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// Component is a part of an InferenceService that is a Knative Service.
type Component struct {
	Type v1beta1.ComponentType
	// Of is the InferenceService.
	Of *v1beta1.InferenceService
	// Spec is what Of has of the component, or an empty one if it has none.
	Spec *v1beta1.PredictorSpec
}

// ComponentOf returns a component of an InferenceService, whether there is one or
// not: it has the names in any case.
func ComponentOf(is *v1beta1.InferenceService, component v1beta1.ComponentType) Component {
	spec := is.Spec.Component(component)
	if spec == nil {
		spec = &v1beta1.PredictorSpec{}
	}
	return Component{Type: component, Of: is, Spec: spec}
}

// Subject returns the component with its logger.
func (c Component) Subject() Subject {
	return Subject{
		Namespace: c.Of.Namespace, Service: c.Of.ServiceName(c.Type),
		InferenceService: c.Of.Name, Component: c.Type,
		Logger:      c.Spec.Logger,
		LoggerField: c.Type.LoggerPath(), ContainersField: c.Type.Path() + ".containers",
		MetadataName: c.Of.MetadataName(c.Type), TrustName: c.Of.TrustName(c.Type),
		ConfigMapLabels: c.labels(), ConfigMapOwner: *kmeta.NewControllerRef(c.Of),
	}
}

func (c Component) labels() map[string]string {
	return map[string]string{
		serving.InferenceServiceLabelKey: c.Of.Name,
		serving.ComponentLabelKey:        string(c.Type),
	}
}

// predictorHost is the environment variable with the predictor's address. Its
// mention in a container's arguments or environment means that the container
// says itself how it reads the address.
const predictorHost = "PREDICTOR_HOST"

// tellPredictor tells the container that serves a transformer or an explainer
// where the predictor is: by an environment variable, and by the arguments that
// KServe gives, for which the images of KServe are made.
func (c Component) tellPredictor(pod *corev1.PodSpec) {
	owner, port := served(pod.Containers)
	if c.Type == v1beta1.PredictorComponent || owner < 0 {
		return
	}
	container := &pod.Containers[owner]
	host := c.Of.ServiceName(v1beta1.PredictorComponent) + "." + c.Of.Namespace
	if !readsPredictorHost(container) {
		c.addArgument(container, "--model_name", c.Of.Name)
		c.addArgument(container, "--predictor_host", host)
		c.addArgument(container, "--http_port", strconv.Itoa(int(port.ContainerPort)))
	}
	if !slices.ContainsFunc(container.Env, func(v corev1.EnvVar) bool { return v.Name == predictorHost }) {
		// First, so that those after it may refer to it.
		container.Env = slices.Insert(container.Env, 0, corev1.EnvVar{Name: predictorHost, Value: host})
	}
}

// addArgument adds an argument that the owner did not write.
func (Component) addArgument(container *corev1.Container, name, value string) {
	written := func(argument string) bool { return argument == name || strings.HasPrefix(argument, name+"=") }
	if !slices.ContainsFunc(container.Args, written) && !slices.ContainsFunc(container.Command, written) {
		container.Args = append(container.Args, name, value)
	}
}

func readsPredictorHost(container *corev1.Container) bool {
	mentions := func(text string) bool { return strings.Contains(text, "$("+predictorHost+")") }
	return slices.ContainsFunc(container.Args, mentions) || slices.ContainsFunc(container.Command, mentions) ||
		slices.ContainsFunc(container.Env, func(v corev1.EnvVar) bool { return mentions(v.Value) })
}
