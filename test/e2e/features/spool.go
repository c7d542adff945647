/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubeclient "knative.dev/pkg/client/injection/kube/client"
	"knative.dev/pkg/network"
	"knative.dev/reconciler-test/pkg/environment"
	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/inferenceservice"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/subscriber"
)

// CrashPackage is the main package of the image that crashes an agent.
const CrashPackage = "github.com/sidenote-dev/sidenote/test/test_images/crash"

// Spool tests that events which wait for their sink on disk outlive a crash of
// the agent.
func Spool() *feature.Feature {
	const service, at, door = "spooling", "every-event", "door"
	f := feature.NewFeatureNamed("a crash with a spool")
	f.Setup("there is a subscriber", subscriber.Install(at))
	f.Setup("there is a Service that leads nowhere", func(ctx context.Context, t feature.T) { openDoor(ctx, t, door, "") })
	f.Setup("there is an InferenceService that sends to it", func(ctx context.Context, t feature.T) {
		inferenceservice.Install(service,
			inferenceservice.WithPredictor("minReplicas", 1),
			inferenceservice.WithLogger(map[string]any{
				"url":   "http://" + network.GetServiceHostname(door, environment.FromContext(ctx).Namespace()),
				"spool": map[string]any{"sizeLimit": "64Mi"},
			}))(ctx, t)
	})
	f.Requirement("the InferenceService responds", responds(service))
	f.Assert("what was spooled before the crash arrives after it", func(ctx context.Context, t feature.T) {
		for range predictionsBeforeTheEnd {
			predictOnce(ctx, t, service)
		}
		pod := onlyPod(ctx, t, service)
		var before agentStatus
		eventually(ctx, t, "every event to be spooled", func(ctx context.Context) (err error) {
			if before, err = statusOf(ctx, pod); err != nil {
				return err
			}
			if observed := before.Sinks["default"].Observed; observed < 2*predictionsBeforeTheEnd || before.Spools["default"].Spooled < observed {
				return fmt.Errorf("the agent says %+v", before)
			}
			return nil
		})

		crashAgent(ctx, t, pod)
		eventually(ctx, t, "another agent in the same pod", func(ctx context.Context) error {
			after, err := statusOf(ctx, pod)
			if err != nil {
				return err
			}
			if after.AgentInstance == before.AgentInstance {
				return fmt.Errorf("it is still %s", after.AgentInstance)
			}
			return nil
		})
		openDoor(ctx, t, door, at)

		eventually(ctx, t, "the events of the agent before", func(ctx context.Context) error {
			arrived := make(map[string]bool)
			for _, event := range subscriber.Events(ctx, at, subscriber.WithAttribute("agentinstance", before.AgentInstance)) {
				arrived[subscriber.Attribute(event, "agentsequence")] = true
			}
			if uint64(len(arrived)) < before.Sinks["default"].Observed {
				return fmt.Errorf("%d of %d arrived", len(arrived), before.Sinks["default"].Observed)
			}
			return nil
		})
		predictUntilSeen(ctx, t, service, at)
	})
	return f
}

// agentStatus is what an agent says of itself.
type agentStatus struct {
	AgentInstance string             `json:"agentInstance"`
	Sinks         map[string]account `json:"sinks"`
	Spools        map[string]struct {
		Spooled uint64 `json:"spooled"`
	} `json:"spools"`
}

// statusOf asks a pod's agent, through the API server.
func statusOf(ctx context.Context, pod corev1.Pod) (status agentStatus, err error) {
	response, err := kubeclient.Get(ctx).CoreV1().Pods(pod.Namespace).
		ProxyGet("http", pod.Name, strconv.Itoa(int(v1beta1.AgentAdminPort)), "/status", nil).DoRaw(ctx)
	if err != nil {
		return status, err
	}
	return status, json.Unmarshal(response, &status)
}

// crashAgent ends a pod's agent without a warning. Its image has no shell, and
// nobody may reach the node.
func crashAgent(ctx context.Context, t feature.T, pod corev1.Pod) {
	images, err := environment.ProduceImages(ctx)
	if err != nil {
		t.Fatal(err)
	}
	pods := kubeclient.Get(ctx).CoreV1().Pods(pod.Namespace)
	current, err := pods.Get(ctx, pod.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	current.Spec.EphemeralContainers = append(current.Spec.EphemeralContainers, corev1.EphemeralContainer{
		EphemeralContainerCommon: corev1.EphemeralContainerCommon{
			Name:  "crash",
			Image: images["ko://"+CrashPackage],
		},
		TargetContainerName: v1beta1.AgentContainerName,
	})
	if _, err := pods.UpdateEphemeralContainers(ctx, pod.Name, current, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}
