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
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	kubeclient "knative.dev/pkg/client/injection/kube/client"
	"knative.dev/reconciler-test/pkg/environment"
	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/inferenceservice"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/subscriber"
)

// liveLogger lists the annotation team and refreshes it. It sends one event for each
// exchange: a subscriber records five a second at most, and one that lags behind would
// make the metadata look old.
var liveLogger = map[string]any{"mode": "response", "metadataAnnotations": []string{"team"}, "metadataRefresh": "Live"}

// addLiveService gives a feature a service under metadataRefresh Live with one pod, and
// a subscriber that gets all its events.
func addLiveService(f *feature.Feature, service, at string) {
	addBroker(f)
	addSubscriber(f, at)
	addService(f, service,
		inferenceservice.WithAnnotations(map[string]string{"team": "before"}),
		inferenceservice.WithPredictor("minReplicas", 1),
		inferenceservice.WithLogger(liveLogger))
}

// LiveMetadata tests that under metadataRefresh Live a changed annotation reaches the
// running agents under load, without a new Revision and without a failed request.
func LiveMetadata() *feature.Feature {
	const service, all = "live", "every-event"
	f := feature.NewFeatureNamed("live metadata under load")
	addLiveService(f, service, all)
	f.Assert("a changed annotation reaches the running agent", func(ctx context.Context, t feature.T) {
		predictUntilSeen(ctx, t, service, all, subscriber.WithAttribute("team", "before"))
		agents := len(agentInstances(ctx, all))
		load := startSteadyLoad(ctx, t, service)
		defer load.end(t)
		load.awaitMore(ctx, t, 5)
		changed := time.Now()
		if err := inferenceservice.Annotate(ctx, service, "team", "after"); err != nil {
			t.Fatal(err)
		}
		awaitTeam(ctx, t, service, all, "after")
		t.Logf("the first event with the new value came %s after the change", time.Since(changed).Round(time.Second))
		// No event from here on has the old value.
		load.awaitMore(ctx, t, 5)
		id := predictOnce(ctx, t, service)
		awaitTypes(ctx, t, all, id, []string{responseType})
		for _, event := range subscriber.Events(ctx, all, ofExchange(id)) {
			if err := expect("team", subscriber.Attribute(event, "team"), "after"); err != nil {
				t.Error(err)
			}
		}
		if err := expect("the number of agents", len(agentInstances(ctx, all)), agents); err != nil {
			t.Error(err)
		}
		awaitRevisions(ctx, t, service, 1)
	})
	return f
}

// SwitchRefresh tests that to switch to Live and back is one Revision each, without a
// failed request.
func SwitchRefresh() *feature.Feature {
	const service, all = "switching", "every-event"
	f := feature.NewFeatureNamed("a switch of metadataRefresh under load")
	addBroker(f)
	addSubscriber(f, all)
	addService(f, service,
		inferenceservice.WithAnnotations(map[string]string{"team": "first"}),
		inferenceservice.WithPredictor("minReplicas", 1),
		inferenceservice.WithLogger(map[string]any{"mode": "response", "metadataAnnotations": []string{"team"}}))
	f.Assert("each switch gives one Revision", func(ctx context.Context, t feature.T) {
		predictUntilSeen(ctx, t, service, all, subscriber.WithAttribute("team", "first"))
		load := startSteadyLoad(ctx, t, service)
		defer load.end(t)
		for i, refresh := range []v1beta1.MetadataRefresh{v1beta1.RefreshLive, v1beta1.RefreshByRevision} {
			if err := inferenceservice.Update(ctx, service, func(service *v1beta1.InferenceService) {
				service.Spec.Predictor.Logger.MetadataRefresh = refresh
			}); err != nil {
				t.Fatal(err)
			}
			revision := fmt.Sprintf("%s-%05d", inferenceservice.ServiceName(service), i+2)
			eventually(ctx, t, "events of "+revision, func(ctx context.Context) error {
				if len(subscriber.Events(ctx, all, subscriber.WithAttribute("revision", revision), subscriber.WithAttribute("team", "first"))) == 0 {
					return fmt.Errorf("there are none with the metadata")
				}
				return nil
			})
			load.awaitMore(ctx, t, 20)
			awaitRevisions(ctx, t, service, i+2)
		}
	})
	return f
}

// LiveFileIsDamaged tests that an agent whose file of metadata is malformed or missing
// serves on with the values that it had. The controller would restore the file, so it
// is away meanwhile, and nothing else may run beside this.
func LiveFileIsDamaged() *feature.Feature {
	const service, all = "damaged", "events-of-damaged"
	f := feature.NewFeatureNamed("a damaged file of live metadata")
	addLiveService(f, service, all)
	f.Assert("the model serves, and its events keep their metadata", func(ctx context.Context, t feature.T) {
		predictUntilSeen(ctx, t, service, all, subscriber.WithAttribute("team", "before"))
		agents := len(agentInstances(ctx, all))
		load := startSteadyLoad(ctx, t, service)
		defer load.end(t)
		comesBack := scaleController(ctx, t, 0)
		namespace := environment.FromContext(ctx).Namespace()
		configMaps := kubeclient.Get(ctx).CoreV1().ConfigMaps(namespace)
		name := liveConfigMap(ctx, t, service)

		current, err := configMaps.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		current.Data = map[string]string{metadata.FileName: "{no metadata"}
		current.BinaryData = nil
		if _, err := configMaps.Update(ctx, current, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(ctx, t, "the agent to find the file malformed", func(ctx context.Context) error {
			syncPods(ctx, t, service)
			if agentMetadata(ctx, t, service).Failures == 0 {
				return fmt.Errorf("it counts no failure")
			}
			return nil
		})
		keepsTeam(ctx, t, service, all, "before")

		if err := configMaps.Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		syncPods(ctx, t, service)
		load.awaitMore(ctx, t, 20)
		keepsTeam(ctx, t, service, all, "before")

		comesBack()
		if err := inferenceservice.Annotate(ctx, service, "team", "after"); err != nil {
			t.Fatal(err)
		}
		awaitTeam(ctx, t, service, all, "after")
		if err := expect("the number of agents", len(agentInstances(ctx, all)), agents); err != nil {
			t.Error(err)
		}
		awaitRevisions(ctx, t, service, 1)
	})
	return f
}

// startSteadyLoad has one client predict twice a second, for minutes.
func startSteadyLoad(ctx context.Context, t feature.T, service string) *load {
	model, err := modelURL(ctx, service)
	if err != nil {
		t.Fatal(err)
	}
	return startLoadOf(ctx, model, 1, 500*time.Millisecond)
}

// awaitTeam waits for an event with a value of team, of whichever exchange.
func awaitTeam(ctx context.Context, t feature.T, service, at, team string) {
	eventually(ctx, t, "an event with the team "+team, func(ctx context.Context) error {
		if len(subscriber.Events(ctx, at, subscriber.WithAttribute("team", team), subscriber.WithSource(inferenceservice.ServiceName(service)))) == 0 {
			return fmt.Errorf("there is none")
		}
		return nil
	})
}

// keepsTeam checks the events of an exchange that is made now.
func keepsTeam(ctx context.Context, t feature.T, service, at, team string) {
	id := predictOnce(ctx, t, service)
	awaitTypes(ctx, t, at, id, []string{responseType})
	for _, event := range subscriber.Events(ctx, at, ofExchange(id)) {
		if err := expect("team", subscriber.Attribute(event, "team"), team); err != nil {
			t.Error(err)
		}
	}
}

// liveConfigMap is the name of the ConfigMap that a service's pods mount as metadata.
func liveConfigMap(ctx context.Context, t feature.T, service string) string {
	for _, volume := range podsOf(ctx, t, service)[0].Spec.Volumes {
		if volume.ConfigMap == nil {
			continue
		}
		configMap, err := kubeclient.Get(ctx).CoreV1().ConfigMaps(environment.FromContext(ctx).Namespace()).Get(ctx, volume.ConfigMap.Name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, found := configMap.Data[metadata.FileName]; found {
			return configMap.Name
		}
	}
	t.Fatalf("the pods of %s mount no file of metadata", service)
	return ""
}

func podsOf(ctx context.Context, t feature.T, service string) []corev1.Pod {
	pods, err := kubeclient.Get(ctx).CoreV1().Pods(environment.FromContext(ctx).Namespace()).List(ctx, metav1.ListOptions{
		LabelSelector: "serving.knative.dev/service=" + inferenceservice.ServiceName(service),
	})
	if err != nil || len(pods.Items) == 0 {
		t.Fatalf("the pods of %s: %v, %v", service, pods, err)
	}
	return pods.Items
}

// syncPods has the kubelet look at the ConfigMaps of a service's pods at once: it
// does so when a pod changes.
func syncPods(ctx context.Context, t feature.T, service string) {
	for _, pod := range podsOf(ctx, t, service) {
		patch := fmt.Sprintf(`{"metadata":{"annotations":{"test.sidenote.dev/touched":%q}}}`, strconv.FormatInt(time.Now().UnixNano(), 10))
		if _, err := kubeclient.Get(ctx).CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

// metadataStatus is what an agent's /status says of its metadata.
type metadataStatus struct {
	Changes, Failures int
}

func agentMetadata(ctx context.Context, t feature.T, service string) metadataStatus {
	pod := podsOf(ctx, t, service)[0]
	page, err := kubeclient.Get(ctx).CoreV1().Pods(pod.Namespace).
		ProxyGet("http", pod.Name, strconv.Itoa(int(v1beta1.AgentAdminPort)), "/status", nil).DoRaw(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var status struct{ Metadata metadataStatus }
	if err := json.Unmarshal(page, &status); err != nil {
		t.Fatal(err)
	}
	return status.Metadata
}

// scaleController sets the controller's replicas, waits for its pods, and gives what
// sets them back, which is also done at the step's end.
func scaleController(ctx context.Context, t feature.T, replicas int32) (restore func()) {
	client := kubeclient.Get(ctx)
	deployments := client.AppsV1().Deployments(systemNamespace)
	before, err := deployments.Get(ctx, controllerDeployment, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	set := func(ctx context.Context, replicas int32) {
		patch := fmt.Sprintf(`{"spec":{"replicas":%d}}`, replicas)
		if _, err := deployments.Patch(ctx, controllerDeployment, types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(ctx, t, "the controller's pods", func(ctx context.Context) error {
			pods, err := client.CoreV1().Pods(systemNamespace).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(before.Spec.Selector)})
			if err != nil {
				return err
			}
			return expect("their number", len(pods.Items), int(replicas))
		})
	}
	restore = func() { set(context.WithoutCancel(ctx), *before.Spec.Replicas) }
	t.Cleanup(restore)
	set(ctx, replicas)
	return restore
}

// agentInstances returns the agents that a subscriber got events of.
func agentInstances(ctx context.Context, at string) map[string]bool {
	instances := make(map[string]bool)
	for _, event := range subscriber.Events(ctx, at) {
		instances[subscriber.Attribute(event, "agentinstance")] = true
	}
	return instances
}
