/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package binding

import (
	"fmt"
	"math/rand/v2"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	"knative.dev/pkg/ptr"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// generator makes Knative Services as people write them.
type generator struct{ *rand.Rand }

func newGenerator(seed uint64) generator { return generator{rand.New(rand.NewPCG(seed, 1))} }

// maybe is true in one of n cases.
func (g generator) maybe(n int) bool { return g.IntN(n) == 0 }

func one[T any](g generator, of ...T) T { return of[g.IntN(len(of))] }

func (g generator) service() *servingv1.Service {
	service := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Name: "iris", Namespace: namespace, Annotations: map[string]string{"team": "a", "owner": "b"}}}
	if g.maybe(3) {
		service.Labels = map[string]string{"serving.kserve.io/inferenceservice": "iris", "component": one(g, "predictor", "transformer", "other")}
	}
	template := &service.Spec.Template
	if g.maybe(2) {
		template.Annotations = map[string]string{"autoscaling.knative.dev/min-scale": "1", "team": "t"}
	}
	if g.maybe(3) {
		template.Labels = map[string]string{"app": "iris"}
	}
	if g.maybe(8) {
		template.Name = "iris-v1"
	}
	if g.maybe(3) {
		template.Spec.TimeoutSeconds = ptr.Int64(60)
	}
	if g.maybe(3) {
		template.Spec.ContainerConcurrency = ptr.Int64(4)
	}
	pod := &template.Spec.PodSpec
	count := one(g, 1, 1, 2, 3)
	owner := g.IntN(count)
	names := []string{one(g, "", "model", "kserve-container"), one(g, "", "side"), "other"}
	for i := range count {
		pod.Containers = append(pod.Containers, g.container(names[i], i == owner, count > 1))
	}
	for i := range g.IntN(3) {
		name := fmt.Sprintf("v%d", i)
		pod.Volumes = append(pod.Volumes, corev1.Volume{Name: name, VolumeSource: g.volume()})
		container := &pod.Containers[g.IntN(count)]
		container.VolumeMounts = append(container.VolumeMounts, corev1.VolumeMount{Name: name, MountPath: "/mnt/" + name})
	}
	if g.maybe(6) {
		pod.ServiceAccountName = "robot"
	}
	if g.maybe(6) {
		pod.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "pull"}}
	}
	return service
}

func (g generator) volume() corev1.VolumeSource {
	return one(g,
		corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}},
		corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "s"}},
		corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "c"}}})
}

func (g generator) container(name string, isOwner, hasOthers bool) corev1.Container {
	container := corev1.Container{Name: name, Image: "registry.example/model:v1"}
	if g.maybe(2) {
		container.Env = append(container.Env, corev1.EnvVar{Name: "A", Value: "$(B)"})
	}
	if !isOwner && g.maybe(3) {
		container.Env = append(container.Env, corev1.EnvVar{Name: "PORT", Value: "8080"})
	}
	if g.maybe(2) {
		container.Args = []string{"--model=iris", "--port=$(PORT)"}
	}
	if g.maybe(3) {
		container.Command = []string{"/serve"}
	}
	if g.maybe(2) {
		container.Resources.Limits = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(one(g, "1", "1000m"))}
	}
	if g.maybe(5) {
		container.Resources.Requests = corev1.ResourceList{corev1.ResourceEphemeralStorage: resource.MustParse("1Gi")}
		container.Resources.Limits = corev1.ResourceList{corev1.ResourceEphemeralStorage: resource.MustParse("1Gi")}
	}
	if g.maybe(4) {
		container.SecurityContext = &corev1.SecurityContext{RunAsNonRoot: ptr.Bool(true), RunAsUser: ptr.Int64(1000)}
	}
	if isOwner && (hasOthers || g.maybe(2)) {
		port := corev1.ContainerPort{Name: one(g, "", "h2c", "http1"), ContainerPort: one[int32](g, 0, 8080, 9000)}
		if g.maybe(3) {
			port.Protocol = corev1.ProtocolTCP
		}
		container.Ports = []corev1.ContainerPort{port}
	}
	name = ""
	if len(container.Ports) > 0 {
		name = container.Ports[0].Name
	}
	if g.maybe(2) {
		container.ReadinessProbe = g.probe(name, isOwner)
	}
	if g.maybe(3) {
		container.LivenessProbe = g.probe(name, isOwner)
		container.LivenessProbe.SuccessThreshold = 0
	}
	if g.maybe(4) {
		container.StartupProbe = g.probe(name, isOwner)
		container.StartupProbe.SuccessThreshold = 0
	}
	return container
}

func (g generator) probe(portName string, isOwner bool) *corev1.Probe {
	probe := &corev1.Probe{PeriodSeconds: one[int32](g, 0, 5), FailureThreshold: one[int32](g, 0, 4), SuccessThreshold: one[int32](g, 0, 1)}
	port := intstr.FromInt32(8080)
	if isOwner {
		ports := []intstr.IntOrString{{}, intstr.FromInt32(8080), intstr.FromString("8080")}
		if portName != "" {
			ports = append(ports, intstr.FromString(portName))
		}
		port = one(g, ports...)
	}
	switch g.IntN(5) {
	case 0:
		probe.HTTPGet = &corev1.HTTPGetAction{Path: "/ready", Port: port, Scheme: one(g, "", corev1.URISchemeHTTP)}
	case 1:
		probe.TCPSocket = &corev1.TCPSocketAction{Port: port}
	case 2:
		probe.GRPC = &corev1.GRPCAction{Port: one[int32](g, 8080, 8080, 0)}
		if g.maybe(2) {
			probe.GRPC.Service = ptr.String("model")
		}
	case 3:
		probe.Exec = &corev1.ExecAction{Command: []string{"true"}}
	default:
		// Thresholds alone.
	}
	return probe
}

func (g generator) binding() *v1alpha1.LoggerBinding {
	logger := v1beta1.LoggerSpec{Mode: one(g, "", v1beta1.LogAll, v1beta1.LogRequest)}
	if g.maybe(2) {
		logger.MetadataAnnotations = []string{"team", "owner"}
	}
	if g.maybe(3) {
		logger.MetadataRefresh = v1beta1.RefreshLive
	}
	if g.maybe(3) {
		size := resource.MustParse("64Mi")
		logger.Spool = &v1beta1.SpoolSpec{SizeLimit: &size}
	}
	if g.maybe(3) {
		logger.Sink = &duckv1.Destination{URI: apis.HTTP("sink.example")}
	}
	binding := bindingTo(toAll(), logger)
	switch g.IntN(3) {
	case 0:
		binding.Status.Logger = nil
	case 1:
		binding.Status.Logger.Sink.Audience = ptr.String("broker")
	}
	return binding
}

func (g generator) features() map[string]string {
	return map[string]string{
		"multi-container-probing": one(g, "enabled", "disabled"),
		"secure-pod-defaults":     one(g, "disabled", "enabled"),
	}
}
