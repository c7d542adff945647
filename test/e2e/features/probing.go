/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubeclient "knative.dev/pkg/client/injection/kube/client"
	"knative.dev/reconciler-test/pkg/environment"
	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/inferenceservice"
)

// MultiContainerProbing tests that the kubelet runs the startup and liveness
// probes of a model if Serving's feature of that name is on, and that switching
// it makes no Revision. With the feature off again Serving takes no update of a
// model that has such a probe, and a condition says so. Serving replaces every
// pod of the cluster's Revisions when it is switched, so nothing else may run
// beside it.
func MultiContainerProbing() *feature.Feature {
	const existing, starts, never = "before-probing", "starts", "never-starts"
	const model = "kfserving-container"
	f := feature.NewFeatureNamed("multi-container-probing")
	sink := inferenceservice.WithLogger(map[string]any{"url": "http://elsewhere.example"})
	f.Setup("there is an InferenceService from before", inferenceservice.Install(existing, sink))
	f.Requirement("it responds", responds(existing))
	f.Assert("the kubelet runs the probes, and a switch makes no Revision", func(ctx context.Context, t feature.T) {
		restore := setConfigIn(ctx, t, servingNamespace, servingFeatures, "multi-container-probing", "enabled")
		probe := func(path string, port any) fields {
			return fields{"httpGet": fields{"path": path, "port": port}, "periodSeconds": int64(1)}
		}
		awaitProbing(ctx, t, probe("/", int64(8080)))

		ports := inferenceservice.WithContainer("ports", []any{fields{"name": "http1", "containerPort": 8080}})
		startup := probe("/v2/health/ready", 8080)
		startup["failureThreshold"] = 60
		inferenceservice.Install(starts, sink, ports, inferenceservice.WithPredictor("minReplicas", 1),
			inferenceservice.WithEnv("MODEL_LOAD_DELAY", "3s"),
			inferenceservice.WithContainer("startupProbe", startup),
			inferenceservice.WithContainer("livenessProbe", probe("/v2/health/live", "http1")))(ctx, t)
		hopeless := probe("/v2/health/ready", "http1")
		hopeless["failureThreshold"] = 2
		inferenceservice.Install(never, sink, ports,
			inferenceservice.WithEnv("MODEL_LOAD_DELAY", "1h"),
			inferenceservice.WithContainer("startupProbe", hopeless))(ctx, t)

		responds(starts)(ctx, t)
		container, err := containerOf(onlyPod(ctx, t, starts), model)
		if err != nil {
			t.Fatal(err)
		}
		if container.StartupProbe == nil || container.LivenessProbe == nil {
			t.Fatalf("the model lacks a probe: %v, %v", container.StartupProbe, container.LivenessProbe)
		}
		if err := errors.Join(
			expect("the port of the liveness probe", container.LivenessProbe.HTTPGet.Port.IntValue(), 8080),
			expect("the restarts of a model that starts", restarts(onlyPod(ctx, t, starts), model), 0),
		); err != nil {
			t.Error(err)
		}
		eventually(ctx, t, "the kubelet to restart a model that never starts", func(ctx context.Context) error {
			pods, err := kubeclient.Get(ctx).CoreV1().Pods(environment.FromContext(ctx).Namespace()).List(ctx, metav1.ListOptions{
				LabelSelector: "serving.knative.dev/service=" + inferenceservice.ServiceName(never),
			})
			if err != nil {
				return err
			}
			for _, pod := range pods.Items {
				if restarts(pod, model) >= 2 {
					return nil
				}
			}
			return fmt.Errorf("none of its %d pods has two restarts", len(pods.Items))
		})

		if err := inferenceServices(ctx).Delete(ctx, never, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}

		restore()
		// Admission hears of it as the controller does.
		eventually(ctx, t, "admission to refuse a startup probe", func(ctx context.Context) error {
			if createProbed(ctx, "dry-run", probe("/", int64(8080)), metav1.DryRunAll) == nil {
				return errors.New("it takes one")
			}
			return nil
		})
		for _, service := range []string{existing, starts} {
			responds(service)(ctx, t)
			awaitRevisions(ctx, t, service, 1)
		}

		change := func(change func(*corev1.Container)) {
			if err := inferenceservice.Update(ctx, starts, func(service *v1beta1.InferenceService) {
				change(&service.Spec.Predictor.Containers[0])
			}); err != nil {
				t.Fatal(err)
			}
		}
		awaitCondition(ctx, t, starts, v1beta1.AgentCurrent, corev1.ConditionFalse)
		change(func(container *corev1.Container) {
			container.Env = append(container.Env, corev1.EnvVar{Name: "CHANGED", Value: "true"})
		})
		eventually(ctx, t, "PredictorReady to name the probe and the feature", func(ctx context.Context) error {
			return conditionSays(ctx, starts, v1beta1.PredictorReady, "ServiceNotWritten",
				"spec.predictor.containers[0].livenessProbe", "set multi-container-probing to enabled")
		})
		predictOnce(ctx, t, starts)
		awaitRevisions(ctx, t, starts, 1)
		change(func(container *corev1.Container) { container.LivenessProbe, container.StartupProbe = nil, nil })
		responds(starts)(ctx, t)
		awaitRevisions(ctx, t, starts, 2)
	})
	return f
}

// awaitProbing waits until the controller keeps a startup probe on the model.
// Its image is none, so no pod runs.
func awaitProbing(ctx context.Context, t feature.T, probe fields) {
	name, tries := "", 0
	eventually(ctx, t, "the controller to leave a startup probe on the model", func(ctx context.Context) error {
		if name == "" {
			tries++
			candidate := fmt.Sprintf("probed-%d", tries)
			if err := createProbed(ctx, candidate, probe); err != nil {
				return err
			}
			name = candidate
		}
		service, err := inferenceservice.KnativeService(ctx, name)
		if err != nil {
			return err
		}
		if service.Spec.Template.Spec.Containers[0].StartupProbe == nil {
			name = ""
			return errors.New("it is the agent's alone")
		}
		return nil
	})
}

func createProbed(ctx context.Context, name string, probe fields, dryRun ...string) error {
	probed := example(name, nil, fields{"containers": []any{
		fields{"image": "model", "ports": []any{fields{"containerPort": int64(8080)}}, "startupProbe": probe},
	}}, nil)
	_, err := inferenceServices(ctx).Create(ctx, probed, metav1.CreateOptions{DryRun: dryRun})
	return err
}

// restarts returns how often the kubelet restarted a container of a pod.
func restarts(pod corev1.Pod, container string) int {
	for _, status := range pod.Status.ContainerStatuses {
		if status.Name == container {
			return int(status.RestartCount)
		}
	}
	return 0
}
