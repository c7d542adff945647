/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"knative.dev/pkg/apis"
	kubeclient "knative.dev/pkg/client/injection/kube/client"
	"knative.dev/reconciler-test/pkg/environment"
	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/inferenceservice"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/subscriber"
)

// LimitRange tests that the default agent fits a namespace that allows a container
// less than one CPU, and that the status of a service that does not fit says
// what to change.
func LimitRange() *feature.Feature {
	const fits, exceeds, all = "fits", "exceeds", "every-event"
	const most = "800m"
	f := feature.NewFeatureNamed("a LimitRange")
	// It has no default limit, so Kubernetes takes the maximum as the default.
	f.Setup("there is a LimitRange", func(ctx context.Context, t feature.T) {
		if _, err := kubeclient.Get(ctx).CoreV1().LimitRanges(environment.FromContext(ctx).Namespace()).Create(ctx, &corev1.LimitRange{
			ObjectMeta: metav1.ObjectMeta{Name: "limits"},
			Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
				Type:           corev1.LimitTypeContainer,
				DefaultRequest: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("32Mi")},
				Max:            corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(most), corev1.ResourceMemory: resource.MustParse("1Gi")},
			}}},
		}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	})
	addDirectService(f, fits, all, nil)
	f.Assert("the default agent gets its maximum as the limit, and logs", func(ctx context.Context, t feature.T) {
		agent, err := containerOf(onlyPod(ctx, t, fits), v1beta1.AgentContainerName)
		if err != nil {
			t.Fatal(err)
		}
		if err := expect("its CPU limit", agent.Resources.Limits.Cpu().String(), most); err != nil {
			t.Error(err)
		}
		predictUntilSeen(ctx, t, fits, all)
	})
	f.Assert("a service with more says so, and is ready once it has less", func(ctx context.Context, t feature.T) {
		limit := func(cpu string) *corev1.ResourceRequirements {
			return &corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}}
		}
		inferenceservice.Install(exceeds, inferenceservice.WithLogger(map[string]any{
			"url": urlOf(ctx, all), "resources": limit("900m"),
		}))(ctx, t)
		eventually(ctx, t, "PredictorReady to say which pod could not be created", func(ctx context.Context) error {
			return conditionSays(ctx, exceeds, v1beta1.PredictorReady, "PodNotCreated",
				`pods "`+inferenceservice.ServiceName(exceeds)+"-00001-deployment-",
				"maximum cpu usage per Container is "+most,
				"spec.predictor.logger.resources")
		})
		if err := inferenceservice.Update(ctx, exceeds, func(service *v1beta1.InferenceService) {
			service.Spec.Predictor.Logger.Resources = limit("400m")
		}); err != nil {
			t.Fatal(err)
		}
		responds(exceeds)(ctx, t)
		predictUntilSeen(ctx, t, exceeds, all)
	})
	return f
}

// RootModel tests that a model which runs as root logs: the agent beside it still
// does not.
func RootModel() *feature.Feature {
	const service, all = "root", "every-event"
	f := feature.NewFeatureNamed("a model that runs as root")
	addDirectService(f, service, all, nil,
		inferenceservice.WithContainer("securityContext", map[string]any{"runAsUser": 0}))
	f.Assert("it serves, and its events arrive", func(ctx context.Context, t feature.T) {
		predictUntilSeen(ctx, t, service, all)
		if err := oneExchange(eventsOf(ctx, t, service, all, requestType, responseType)); err != nil {
			t.Error(err)
		}
	})
	return f
}

// servingNamespace and servingFeatures are where Knative Serving is told which
// fields of a pod it takes.
const servingNamespace, servingFeatures = "knative-serving", "config-features"

// RootPod tests that a model logs in a pod whose user is root. Serving takes the
// pod's user only with a feature of its own, so nothing else may run beside it.
func RootPod() *feature.Feature {
	const service, all = "root-pod", "every-event"
	f := feature.NewFeatureNamed("a pod that runs as root")
	f.Setup("there is a subscriber "+all, subscriber.Install(all))
	f.Assert("it serves, and its events arrive", func(ctx context.Context, t feature.T) {
		restore := setConfigIn(ctx, t, servingNamespace, servingFeatures, "kubernetes.podspec-securitycontext", "enabled")
		eventually(ctx, t, "admission to take the user of a pod", func(ctx context.Context) error {
			_, err := inferenceServices(ctx).Create(ctx, example("dry-run", nil, fields{"securityContext": fields{"runAsUser": int64(0)}}, nil),
				metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			return err
		})
		inferenceservice.Install(service,
			inferenceservice.WithPredictor("securityContext", map[string]any{"runAsUser": 0}),
			inferenceservice.WithLogger(map[string]any{"url": urlOf(ctx, all)}))(ctx, t)
		responds(service)(ctx, t)
		predictUntilSeen(ctx, t, service, all)
		restore()
		predictOnce(ctx, t, service)
	})
	return f
}

// NoWebhookSaw tests that a model serves and logs whatever its logger says, where
// no webhook saw it: the agent is not given what it would refuse.
func NoWebhookSaw() *feature.Feature {
	const service, all, mode = "unseen", "every-event", "odd"
	f := feature.NewFeatureNamed("an InferenceService that no webhook saw")
	f.Setup("there is a subscriber "+all, subscriber.Install(all))
	f.Setup("there is an InferenceService with values that the webhook would refuse", func(ctx context.Context, t feature.T) {
		exclude(ctx, t, `"true"`)
		defer exclude(context.WithoutCancel(ctx), t, "null")
		eventually(ctx, t, "the API server to ask no webhook", func(ctx context.Context) error {
			_, err := inferenceServices(ctx).Create(ctx, example("dry-run", nil, fields{"logger": fields{"mode": mode}}, nil),
				metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			return err
		})
		inferenceservice.Install(service,
			inferenceservice.WithAnnotations(map[string]string{"team": "a\nb", "owner": "ml-ops"}),
			inferenceservice.WithLogger(map[string]any{
				"url": urlOf(ctx, all), "mode": mode, "maxPayloadBytes": 0, "metadataAnnotations": []string{"team", "owner"},
			}))(ctx, t)
	})
	f.Requirement("the InferenceService responds", responds(service))
	f.Assert("the model serves and logs, and a condition names the fields", func(ctx context.Context, t feature.T) {
		eventually(ctx, t, "LoggerValid to name the fields", func(ctx context.Context) error {
			return conditionSays(ctx, service, v1beta1.LoggerValid, "",
				"spec.predictor.logger.mode", mode, "spec.predictor.logger.maxPayloadBytes", "spec.predictor.logger.metadata", "team")
		})
		predictUntilSeen(ctx, t, service, all)
		for _, event := range eventsOf(ctx, t, service, all, requestType, responseType) {
			if err := errors.Join(
				expect("owner", subscriber.Attribute(event, "owner"), "ml-ops"),
				expect("team", subscriber.Attribute(event, "team"), ""),
			); err != nil {
				t.Error(err)
			}
		}
	})
	return f
}

// exclude sets the label by which neither Sidenote's webhook nor Knative's are
// asked about what is in the environment's namespace. Its value is JSON, and
// null removes it.
func exclude(ctx context.Context, t feature.T, value string) {
	patch := []byte(`{"metadata":{"labels":{"webhooks.knative.dev/exclude":` + value + `}}}`)
	if _, err := kubeclient.Get(ctx).CoreV1().Namespaces().
		Patch(ctx, environment.FromContext(ctx).Namespace(), types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

// conditionSays returns an error unless a condition of an InferenceService is
// false, for that reason where one is given, and its message has the texts.
func conditionSays(ctx context.Context, name string, kind apis.ConditionType, reason string, texts ...string) error {
	if err := hasCondition(ctx, name, kind, corev1.ConditionFalse); err != nil {
		return err
	}
	service, err := inferenceservice.Get(ctx, name)
	if err != nil {
		return err
	}
	condition := service.Status.GetCondition(kind)
	if reason != "" && condition.Reason != reason {
		return fmt.Errorf("its reason is %s: %s", condition.Reason, condition.Message)
	}
	for _, text := range texts {
		if !strings.Contains(condition.Message, text) {
			return fmt.Errorf("its message lacks %q: %s", text, condition.Message)
		}
	}
	return nil
}

// containerOf returns a container of a pod by its name.
func containerOf(pod corev1.Pod, name string) (corev1.Container, error) {
	for i := range pod.Spec.Containers {
		if pod.Spec.Containers[i].Name == name {
			return pod.Spec.Containers[i], nil
		}
	}
	return corev1.Container{}, fmt.Errorf("the pod %s has no container %s", pod.Name, name)
}
