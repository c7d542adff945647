/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"context"
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	kubeclient "knative.dev/pkg/client/injection/kube/client"
	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/inferenceservice"
)

// The features of this file share one environment: each leaves alone what the
// one before it left alone. They change the control plane, so nothing else
// may run beside them.
const (
	// steady is the service that nothing may touch.
	steady = "steady"
	// probe is a service whose metadata shows that the controller has seen
	// what was done before: under Live it is taken over without a Revision.
	probe = "probe"

	// trackingID is an annotation of a tool's, which stays off the template.
	trackingID = "argocd.argoproj.io/tracking-id"

	systemNamespace      = "sidenote-system"
	controllerDeployment = "controller"
)

// SteadyService makes the service that the features after it watch.
func SteadyService() *feature.Feature {
	f := feature.NewFeatureNamed("a steady service")
	addBroker(f)
	addService(f, steady,
		inferenceservice.WithAnnotations(map[string]string{"team": "before", trackingID: "1"}),
		inferenceservice.WithPredictor("minReplicas", 1),
		inferenceservice.WithLogger(map[string]any{"metadataAnnotations": []string{"team"}}))
	addService(f, probe,
		inferenceservice.WithAnnotations(map[string]string{"turn": "0"}),
		inferenceservice.WithLogger(map[string]any{"metadataAnnotations": []string{"turn"}, "metadataRefresh": "Live"}))
	f.Assert("it logs", func(ctx context.Context, t feature.T) {
		awaitCondition(ctx, t, steady, v1beta1.LoggerReady, corev1.ConditionTrue)
		awaitCondition(ctx, t, steady, v1beta1.AgentCurrent, corev1.ConditionTrue)
		predictOnce(ctx, t, steady)
	})
	return f
}

// TenReconciles tests that what changes nothing is written nowhere: ten changed
// annotations of a tool, and a restart of the controller.
func TenReconciles() *feature.Feature {
	f := feature.NewFeatureNamed("ten reconciles and a restart of the controller")
	f.Assert("they give no write and no Revision", func(ctx context.Context, t feature.T) {
		unchanged := keepsUnchanged(ctx, t)
		for i := range 10 {
			if err := inferenceservice.Annotate(ctx, steady, trackingID, "1."+strconv.Itoa(i)); err != nil {
				t.Fatal(err)
			}
			awaitReconciled(ctx, t)
		}
		unchanged()
		restartController(ctx, t)
		awaitReconciled(ctx, t)
		unchanged()
	})
	return f
}

// NewAgentImage tests that a new agent waits for the owner's own change.
func NewAgentImage() *feature.Feature {
	f := feature.NewFeatureNamed("a new agent image")
	f.Assert("it gives no Revision, and a condition says who is behind", func(ctx context.Context, t feature.T) {
		unchanged := keepsUnchanged(ctx, t)
		becomes := func(current corev1.ConditionStatus) {
			eventually(ctx, t, "AgentCurrent to be "+string(current), func(ctx context.Context) error {
				unchanged()
				return hasCondition(ctx, steady, v1beta1.AgentCurrent, current)
			})
			unchanged()
		}
		restore := setConfig(ctx, t, config.AgentConfigName, "image", "registry.example/another-agent:v2")
		becomes(corev1.ConditionFalse)
		restore()
		becomes(corev1.ConditionTrue)
	})
	return f
}

// NewDefaultSink tests that a new default sink is for new services, and for the
// others when their owner changes them.
func NewDefaultSink() *feature.Feature {
	const newcomer, elsewhere = "newcomer", "http://elsewhere.example"
	f := feature.NewFeatureNamed("a new default sink")
	f.Assert("it gives no Revision to a service that runs", func(ctx context.Context, t feature.T) {
		unchanged := keepsUnchanged(ctx, t)
		before, err := inferenceservice.Get(ctx, steady)
		if err != nil {
			t.Fatal(err)
		}
		restore := setConfig(ctx, t, config.LoggerConfigName, "default-sink", "uri: "+elsewhere)
		inferenceservice.Install(newcomer)(ctx, t)
		awaitSink(ctx, t, newcomer, elsewhere)
		awaitReconciled(ctx, t)
		unchanged()
		awaitSink(ctx, t, steady, before.Status.Logger.SinkURI.String())
		restore()
		awaitReconciled(ctx, t)
		unchanged()
	})
	return f
}

// OneRevisionForTheOwner tests that the owner's change gives exactly one more
// Revision: had any feature before it made one, there would be more.
func OneRevisionForTheOwner() *feature.Feature {
	f := feature.NewFeatureNamed("a listed annotation after all that")
	f.Assert("it gives the second Revision", func(ctx context.Context, t feature.T) {
		if err := inferenceservice.Annotate(ctx, steady, "team", "after"); err != nil {
			t.Fatal(err)
		}
		awaitRevisions(ctx, t, steady, 2)
		awaitReconciled(ctx, t)
		awaitRevisions(ctx, t, steady, 2)
	})
	return f
}

// keepsUnchanged remembers the steady service's Knative Service and gives a
// check that it was never written since and has no other Revision.
func keepsUnchanged(ctx context.Context, t feature.T) func() {
	before, err := inferenceservice.KnativeService(ctx, steady)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		after, err := inferenceservice.KnativeService(ctx, steady)
		if err != nil {
			t.Fatal(err)
		}
		if err := expect("resourceVersion", after.ResourceVersion, before.ResourceVersion); err != nil {
			t.Fatalf("the Knative Service was written: %v, by %v", err, after.ManagedFields)
		}
		awaitRevisions(ctx, t, steady, 1)
	}
}

// awaitReconciled waits until the controller has taken over a change that is
// made now, and so has seen every one before it.
func awaitReconciled(ctx context.Context, t feature.T) {
	before, err := inferenceservice.Get(ctx, probe)
	if err != nil {
		t.Fatal(err)
	}
	turn, err := strconv.Atoi(before.Annotations["turn"])
	if err != nil {
		t.Fatal(err)
	}
	if err := inferenceservice.Annotate(ctx, probe, "turn", strconv.Itoa(turn+1)); err != nil {
		t.Fatal(err)
	}
	eventually(ctx, t, "the controller to see a change", func(ctx context.Context) error {
		after, err := inferenceservice.Get(ctx, probe)
		if err != nil {
			return err
		}
		if after.Status.ObservedMetadata == before.Status.ObservedMetadata {
			return fmt.Errorf("status.observedMetadata is still %q", after.Status.ObservedMetadata)
		}
		return nil
	})
}

func awaitSink(ctx context.Context, t feature.T, name, want string) {
	eventually(ctx, t, "the sink of "+name, func(ctx context.Context) error {
		service, err := inferenceservice.Get(ctx, name)
		if err != nil {
			return err
		}
		if service.Status.Logger == nil || service.Status.Logger.SinkURI == nil {
			return fmt.Errorf("status.logger names none")
		}
		return expect("it", service.Status.Logger.SinkURI.String(), want)
	})
}

// setConfig sets one key of a ConfigMap of ours and gives what sets it back,
// which is also done at the step's end.
func setConfig(ctx context.Context, t feature.T, name, key, value string) (restore func()) {
	return setConfigIn(ctx, t, systemNamespace, name, key, value)
}

// setConfigIn does so in another namespace.
func setConfigIn(ctx context.Context, t feature.T, namespace, name, key, value string) (restore func()) {
	client := kubeclient.Get(ctx).CoreV1().ConfigMaps(namespace)
	original, err := client.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	update := func(ctx context.Context, change func(map[string]string)) {
		if err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
			current, err := client.Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			if current.Data == nil {
				current.Data = make(map[string]string, 1)
			}
			change(current.Data)
			_, err = client.Update(ctx, current, metav1.UpdateOptions{})
			return err
		}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	restore = func() {
		// The step's own context may have ended.
		update(context.WithoutCancel(ctx), func(data map[string]string) {
			if value, found := original.Data[key]; found {
				data[key] = value
			} else {
				delete(data, key)
			}
		})
	}
	t.Cleanup(restore)
	update(ctx, func(data map[string]string) { data[key] = value })
	return restore
}

func restartController(ctx context.Context, t feature.T) {
	restart(ctx, t, systemNamespace, controllerDeployment)
}

// restart replaces the pods of a Deployment and waits for the new ones.
func restart(ctx context.Context, t feature.T, namespace, name string) {
	client := kubeclient.Get(ctx)
	deployment, err := client.AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pods := metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(deployment.Spec.Selector)}
	old, err := client.CoreV1().Pods(namespace).List(ctx, pods)
	if err != nil {
		t.Fatal(err)
	}
	gone := make(map[string]bool)
	for i := range old.Items {
		gone[old.Items[i].Name] = true
		if err := client.CoreV1().Pods(namespace).Delete(ctx, old.Items[i].Name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(ctx, t, "the new pods of "+name, func(ctx context.Context) error {
		now, err := client.CoreV1().Pods(namespace).List(ctx, pods)
		if err != nil {
			return err
		}
		for i := range now.Items {
			if gone[now.Items[i].Name] {
				return fmt.Errorf("%s is still there", now.Items[i].Name)
			}
		}
		deployment, err := client.AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		return expect("the number of ready ones", deployment.Status.ReadyReplicas, deployment.Status.Replicas)
	})
}
