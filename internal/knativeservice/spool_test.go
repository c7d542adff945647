/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"knative.dev/pkg/apis"

	. "github.com/sidenote-dev/sidenote/internal/testing/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

func TestASpoolIsAVolumeOfItsSize(t *testing.T) {
	is := Seed(WithLogger(WithSpool("1Gi")))
	is.Spec.Predictor.Logger.Spool.Sync = true
	service := made(is)
	size := resource.MustParse("1Gi")
	wantVolumes := []corev1.Volume{trust, {Name: "sidenote-spool", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: &size}}}, noToken}
	if diff := cmp.Diff(wantVolumes, service.Spec.Template.Spec.Volumes); diff != "" {
		t.Errorf("volumes (-want, +got): %s", diff)
	}
	agent := agentOf(t, service)
	if diff := cmp.Diff([]corev1.VolumeMount{trustMount, {Name: "sidenote-spool", MountPath: "/var/lib/sidenote/spool"}, noTokenMount}, agent.VolumeMounts); diff != "" {
		t.Errorf("mounts (-want, +got): %s", diff)
	}
	for name, want := range map[string]string{
		"spool-dir": "/var/lib/sidenote/spool", "spool-bytes": "805306368", "spool-when-full": "oldest", "spool-sync": "true",
	} {
		if got := valueOf(t, agent.Args, "sink.default."+name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if diff := cmp.Diff(agentSettings().Resources, agent.Resources); diff != "" {
		t.Errorf("a spool changed the resources (-want, +got): %s", diff)
	}
	if !*agent.SecurityContext.ReadOnlyRootFilesystem {
		t.Error("the agent may write elsewhere")
	}
}

// The kubelet takes the sum of those limits that there are for the limit of
// all volumes of a pod.
func TestASpoolCountsWhereAnotherContainerLimitsStorage(t *testing.T) {
	limits := corev1.ResourceList{corev1.ResourceEphemeralStorage: resource.MustParse("2Gi")}
	agent := agentOf(t, made(Seed(WithLogger(WithSpool("1Gi")), WithModel(func(c *corev1.Container) { c.Resources.Limits = limits }))))
	for what, list := range map[string]corev1.ResourceList{"limit": agent.Resources.Limits, "request": agent.Resources.Requests} {
		if got := list[corev1.ResourceEphemeralStorage]; got.Cmp(resource.MustParse("1088Mi")) != 0 {
			t.Errorf("the %s is %s, want 1088Mi", what, got.String())
		}
	}
}

func TestNoSpoolWhereItCannotBe(t *testing.T) {
	none := map[string]func(*v1beta1.InferenceService, *Applied){
		"without a sink":       func(_ *v1beta1.InferenceService, applied *Applied) { applied.Sinks = nil },
		"none asked for":       func(is *v1beta1.InferenceService, _ *Applied) { is.Spec.Predictor.Logger.Spool = nil },
		"no size":              func(is *v1beta1.InferenceService, _ *Applied) { is.Spec.Predictor.Logger.Spool.SizeLimit = nil },
		"too small a size":     func(is *v1beta1.InferenceService, _ *Applied) { is.Spec.Predictor.Logger.Spool.SizeLimit.Set(1) },
		"too large a size":     func(is *v1beta1.InferenceService, _ *Applied) { is.Spec.Predictor.Logger.Spool.SizeLimit.Set(1 << 50) },
		"a size that is minus": func(is *v1beta1.InferenceService, _ *Applied) { is.Spec.Predictor.Logger.Spool.SizeLimit.Set(-1 << 30) },
	}
	for what, change := range none {
		is := defaulted(Seed(WithLogger(WithSpool("1Gi"))))
		applied := inForceFor(is)
		change(is, &applied)
		service := MakeService(predictor(is), "hash", applied)
		if slices.ContainsFunc(service.Spec.Template.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == "sidenote-spool" }) {
			t.Errorf("%s: volumes %v", what, service.Spec.Template.Spec.Volumes)
		}
		if arguments := agentOf(t, service).Args; slices.ContainsFunc(arguments, func(a string) bool { return strings.Contains(a, "spool") }) {
			t.Errorf("%s: arguments %q", what, arguments)
		}
	}
}

func TestALoggerNeedsServingsFeature(t *testing.T) {
	const flag = "kubernetes.podspec-volumes-emptydir"
	is := Seed()
	if errs := Validate(t.Context(), is).Filter(apis.ErrorLevel); errs != nil {
		t.Errorf("refused by default: %v", errs)
	}
	for _, setting := range []string{"disabled", "allowed"} {
		if errs := Validate(withFeatures(t, map[string]string{flag: setting}), Seed(WithoutLogger())).Filter(apis.ErrorLevel); errs != nil {
			t.Errorf("%s: without a logger: %v", setting, errs)
		}
		errs := Validate(withFeatures(t, map[string]string{flag: setting}), is)
		if text := errs.Error(); !strings.Contains(text, ": spec.predictor.logger\n") || !strings.Contains(text, flag) {
			t.Errorf("%s: %v, want the field and the flag", setting, errs)
		}
	}
}
