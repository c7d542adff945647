/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubeclient "knative.dev/pkg/client/injection/kube/client"
	"knative.dev/pkg/network"
	"knative.dev/reconciler-test/pkg/environment"
	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/test/ingress"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/inferenceservice"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/subscriber"
)

// draining has a service scaled to zero soon after its last request. A shorter
// window may end between two steps of a feature on a busy machine.
var draining = inferenceservice.WithAnnotations(map[string]string{
	"autoscaling.knative.dev/window":                             "30s",
	"autoscaling.knative.dev/scale-to-zero-pod-retention-period": "0s",
})

// predictionsBeforeTheEnd are made while the sink takes nothing.
const predictionsBeforeTheEnd = 5

// DrainWithoutASink tests that a pod that ends with its sink down tells what
// became of every event.
func DrainWithoutASink() *feature.Feature {
	const service, at = "drains-in-vain", "refusing"
	f := feature.NewFeatureNamed("scale to zero with the sink down")
	f.Setup("there is a sink that is out of order", subscriber.Install(at, subscriber.Refusing(http.StatusServiceUnavailable)))
	f.Setup("there is an InferenceService that sends to it", func(ctx context.Context, t feature.T) {
		inferenceservice.Install(service, draining, inferenceservice.WithLogger(map[string]any{"url": urlOf(ctx, at)}))(ctx, t)
	})
	f.Requirement("the InferenceService responds", responds(service))
	f.Assert("the ledger closes, with what is left dropped for shutdown", func(ctx context.Context, t feature.T) {
		predictAtOnce(ctx, t, service, predictionsBeforeTheEnd)
		// Only now: a pod from before may have been scaled away meanwhile.
		log := followAgent(ctx, t, service)
		awaitNoPods(ctx, t, service)
		end := log.await(ctx, t, "agent ends").Ledger["default"]
		end.mustClose(t)
		if end.Observed < 2*predictionsBeforeTheEnd || end.Delivered != 0 || end.Dropped["shutdown"] != end.Observed {
			t.Errorf("the ledger is %+v, want all of at least %d events dropped for shutdown", end, 2*predictionsBeforeTheEnd)
		}
		if drains := log.await(ctx, t, "agent drains").Ledger["default"]; drains.Pending != end.Observed {
			t.Errorf("%d events were pending as the drain began, of %d", drains.Pending, end.Observed)
		}
	})
	return f
}

// DrainWithALateSink tests that a pod that ends delivers what it still has once
// its sink takes it.
func DrainWithALateSink() *feature.Feature {
	const service, at, door = "drains", "every-event", "door"
	f := feature.NewFeatureNamed("scale to zero with a sink that comes back")
	f.Setup("there is a subscriber", subscriber.Install(at))
	f.Setup("there is a Service that leads nowhere", func(ctx context.Context, t feature.T) { openDoor(ctx, t, door, "") })
	f.Setup("there is an InferenceService that sends to it", func(ctx context.Context, t feature.T) {
		url := "http://" + network.GetServiceHostname(door, environment.FromContext(ctx).Namespace())
		inferenceservice.Install(service, draining, inferenceservice.WithLogger(map[string]any{"url": url}))(ctx, t)
	})
	f.Requirement("the InferenceService responds", responds(service))
	f.Assert("every event arrives, and the ledger closes", func(ctx context.Context, t feature.T) {
		predictAtOnce(ctx, t, service, predictionsBeforeTheEnd)
		// Only now: a pod from before may have been scaled away meanwhile.
		log := followAgent(ctx, t, service)
		log.await(ctx, t, "agent drains")
		openDoor(ctx, t, door, at)
		last := log.await(ctx, t, "agent ends")
		end := last.Ledger["default"]
		end.mustClose(t)
		if end.Observed < 2*predictionsBeforeTheEnd || end.Delivered != end.Observed {
			t.Errorf("the ledger is %+v, want all of at least %d events delivered", end, 2*predictionsBeforeTheEnd)
		}
		eventually(ctx, t, "as many events at the subscriber", func(ctx context.Context) error {
			arrived := make(map[string]bool)
			for _, event := range subscriber.Events(ctx, at, subscriber.WithAttribute("agentinstance", last.AgentInstance)) {
				arrived[event.ID()] = true
			}
			return expect("their number", uint64(len(arrived)), end.Observed)
		})
	})
	return f
}

// predictAtOnce makes predictions at the same time, so that one pod gets them
// all: one after the other, they may find that the first pod was scaled away.
func predictAtOnce(ctx context.Context, t feature.T, service string, predictions int) {
	model, err := modelURL(ctx, service)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	for range predictions {
		running.Go(func() {
			if err := predict(ctx, ingress.NewHTTPClient(), model, newRequestID()); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
}

// openDoor makes a Service that leads to a subscriber's pod, or to none, or
// lets the one that is there lead elsewhere.
func openDoor(ctx context.Context, t feature.T, name, to string) {
	services := kubeclient.Get(ctx).CoreV1().Services(environment.FromContext(ctx).Namespace())
	selector := map[string]string{"app": "nobody"}
	var door *corev1.Service
	var err error
	if to == "" {
		_, err = services.Create(ctx, &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec:       corev1.ServiceSpec{Selector: selector, Ports: []corev1.ServicePort{{Name: "http", Port: 80}}},
		}, metav1.CreateOptions{})
	} else if door, err = services.Get(ctx, name, metav1.GetOptions{}); err == nil {
		var target *corev1.Service
		if target, err = services.Get(ctx, to, metav1.GetOptions{}); err == nil {
			door.Spec.Selector, door.Spec.Ports[0].TargetPort = target.Spec.Selector, target.Spec.Ports[0].TargetPort
			_, err = services.Update(ctx, door, metav1.UpdateOptions{})
		}
	}
	if err != nil {
		t.Fatalf("the Service %s: %v", name, err)
	}
}

// agentLog is what an agent logs, up to its end.
type agentLog struct {
	mu      sync.Mutex
	entries []logEntry
	ended   bool
}

type logEntry struct {
	Message       string             `json:"message"`
	AgentInstance string             `json:"agentInstance"`
	Ledger        map[string]account `json:"ledger"`
}

type account struct {
	Observed     uint64            `json:"observed"`
	Delivered    uint64            `json:"delivered"`
	Dropped      map[string]uint64 `json:"dropped"`
	DeadLettered uint64            `json:"deadLettered"`
	Pending      uint64            `json:"pending"`
}

// mustClose fails unless nothing is pending and all that was observed has
// ended in one way.
func (a account) mustClose(t feature.T) {
	ended := a.Delivered + a.DeadLettered
	for _, count := range a.Dropped {
		ended += count
	}
	if a.Pending != 0 || ended != a.Observed {
		t.Errorf("the ledger doesn't close: %+v", a)
	}
}

// followAgent reads the log of a service's one agent from its start on, until
// its container ends: afterwards nobody has it.
func followAgent(ctx context.Context, t feature.T, service string) *agentLog {
	pod := onlyPod(ctx, t, service)
	stream, err := kubeclient.Get(ctx).CoreV1().Pods(pod.Namespace).
		GetLogs(pod.Name, &corev1.PodLogOptions{Container: v1beta1.AgentContainerName, Follow: true}).Stream(ctx)
	if err != nil {
		t.Fatalf("following the log of %s: %v", pod.Name, err)
	}
	log := new(agentLog)
	go func() {
		defer stream.Close()
		lines := bufio.NewScanner(stream)
		for lines.Scan() {
			var entry logEntry
			if json.Unmarshal(lines.Bytes(), &entry) == nil {
				log.add(entry)
			}
		}
		log.mu.Lock()
		defer log.mu.Unlock()
		log.ended = true
	}()
	return log
}

func (l *agentLog) add(entry logEntry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, entry)
}

// await waits for a message, and fails where the log ends without it.
func (l *agentLog) await(ctx context.Context, t feature.T, message string) (found logEntry) {
	eventually(ctx, t, fmt.Sprintf("the agent to log %q", message), func(context.Context) error {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, entry := range l.entries {
			if entry.Message == message {
				found = entry
				return nil
			}
		}
		if l.ended {
			t.Fatalf("the agent's log ended without %q: %v", message, l.entries)
		}
		return fmt.Errorf("%d lines so far", len(l.entries))
	})
	return found
}

// has returns an error unless the agent has logged a message.
func (l *agentLog) has(message string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, entry := range l.entries {
		if entry.Message == message {
			return nil
		}
	}
	return fmt.Errorf("%d lines so far", len(l.entries))
}

// onlyPod returns the pod of a service that runs as one, beside those that end.
func onlyPod(ctx context.Context, t feature.T, service string) (only corev1.Pod) {
	eventually(ctx, t, "one pod of "+service, func(ctx context.Context) error {
		pods, err := kubeclient.Get(ctx).CoreV1().Pods(environment.FromContext(ctx).Namespace()).List(ctx, metav1.ListOptions{
			LabelSelector: "serving.knative.dev/service=" + inferenceservice.ServiceName(service),
		})
		if err != nil {
			return err
		}
		staying := slices.DeleteFunc(pods.Items, func(pod corev1.Pod) bool { return pod.DeletionTimestamp != nil })
		if len(staying) != 1 {
			return fmt.Errorf("there are %d", len(staying))
		}
		only = staying[0]
		return nil
	})
	return only
}
