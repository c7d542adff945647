/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc/metadata"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	kubeclient "knative.dev/pkg/client/injection/kube/client"
	"knative.dev/reconciler-test/pkg/environment"
	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/test/ingress"
	"github.com/sidenote-dev/sidenote/test/openinference"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/inferenceservice"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/subscriber"
)

// longTimeout is the pod's grace period as well: Knative makes it so. Of it,
// queue-proxy takes 30 s before the agent and the model get SIGTERM, then comes
// the rest of the stream. The kubelet kills what is left at its end.
const longTimeout = 300

// StreamThroughRollout tests that a stream of more than a minute goes on while a
// new Revision takes the old one's place.
func StreamThroughRollout() *feature.Feature {
	const service, all = "streams-on", "every-event"
	const words, pause = 36, 2 * time.Second
	f := feature.NewFeatureNamed("a stream through a rollout")
	addBroker(f)
	addSubscriber(f, all)
	addService(f, service,
		inferenceservice.WithPredictor("timeout", longTimeout),
		inferenceservice.WithAnnotations(map[string]string{"team": "before"}),
		inferenceservice.WithLogger(map[string]any{"metadataAnnotations": []string{"team"}}))
	f.Assert("it arrives whole, and so does its event", func(ctx context.Context, t feature.T) {
		predictUntilSeen(ctx, t, service, all)
		before, err := inferenceservice.Get(ctx, service)
		if err != nil {
			t.Fatal(err)
		}
		requestID := newRequestID()
		response, err := open(ctx, ingress.NewHTTPClient(), before.Status.URL, "/v2/models/m/generate_stream",
			`{"text_input": "`+strings.Repeat("word ", words)+`"}`,
			map[string]string{requestIDHeader: requestID, "X-Model-Delay": pause.String()})
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if err := expect("the status", response.StatusCode, http.StatusOK); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(response.Body)
		if !lines.Scan() {
			t.Fatalf("the stream gave nothing: %v", lines.Err())
		}
		if err := inferenceservice.Annotate(ctx, service, "team", "after"); err != nil {
			t.Fatal(err)
		}
		awaitRollout(ctx, t, service, before)
		got := 1
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "data: ") {
				got++
			}
		}
		if err := errors.Join(lines.Err(), expect("the number of messages", got, words)); err != nil {
			t.Fatal(err)
		}
		awaitTypes(ctx, t, all, requestID, []string{requestType, streamType})
		event := subscriber.Events(ctx, all, ofExchange(requestID), subscriber.WithType(streamType))[0]
		if err := errors.Join(
			expect("its team", subscriber.Attribute(event, "team"), "before"),
			expect("the messages in its data", strings.Count(string(event.Data()), "data: "), words),
		); err != nil {
			t.Error(err)
		}
	})
	return f
}

// StreamThroughScaleDown tests that a stream outlasts the end of its pod: it goes
// on for as long as its client wants, more than half a minute after SIGTERM.
func StreamThroughScaleDown() *feature.Feature {
	const service, all = "shrinks", "every-event"
	// afterSIGTERM is longer than the agent waits for a delivery.
	const afterSIGTERM = 40 * time.Second
	f := feature.NewFeatureNamed("a stream through a scale-down")
	// One stream for each pod, and few seconds until one too many is taken away.
	addDirectService(f, service, all, nil, inferenceservice.WithH2C(),
		inferenceservice.WithPredictor("timeout", longTimeout),
		inferenceservice.WithAnnotations(map[string]string{
			"autoscaling.knative.dev/target":                        "1",
			"autoscaling.knative.dev/target-utilization-percentage": "100",
			"autoscaling.knative.dev/window":                        "15s",
		}))
	f.Assert("it goes on until its client ends it, and gives its event", func(ctx context.Context, t feature.T) {
		predictUntilSeen(ctx, t, service, all)
		calls := openCalls(ctx, t, service)
		defer calls.close()
		pod := onlyPod(ctx, t, service)
		log := followAgent(ctx, t, service)
		requestID := newRequestID()
		lasting := calls.stream(ctx, t, requestID)
		lasting.exchange(t)
		goesFirst(ctx, t, pod)

		// Others have the service scaled up. When they end, it is scaled down.
		others := []*call{calls.stream(ctx, t, newRequestID()), calls.stream(ctx, t, newRequestID())}
		eventually(ctx, t, "three pods that are ready", func(ctx context.Context) error {
			lasting.exchange(t)
			return readyPods(ctx, service, 3)
		})
		for _, other := range others {
			other.end(t)
		}
		begun := time.Now()
		eventually(ctx, t, "the stream's pod to get SIGTERM", func(context.Context) error {
			lasting.exchange(t)
			return log.has("agent drains")
		})
		signalled := time.Now()
		for time.Since(signalled) < afterSIGTERM || time.Since(begun) < time.Minute {
			lasting.exchange(t)
			time.Sleep(time.Second)
		}
		lasting.end(t)
		awaitTypes(ctx, t, all, requestID, []string{streamType})
		event := subscriber.Events(ctx, all, ofExchange(requestID), subscriber.WithType(streamType))[0]
		last := log.await(ctx, t, "agent ends")
		end := last.Ledger["default"]
		end.mustClose(t)
		if err := errors.Join(
			expect("grpcstatus", subscriber.Attribute(event, "grpcstatus"), "0"),
			expect("the agent of the stream", subscriber.Attribute(event, "agentinstance"), last.AgentInstance),
			expect("the number of events that were delivered", end.Delivered, end.Observed),
		); err != nil {
			t.Error(err)
		}
	})
	return f
}

// goesFirst has a scale-down take this pod before all others.
func goesFirst(ctx context.Context, t feature.T, pod corev1.Pod) {
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:"-1000"}}}`, corev1.PodDeletionCost)
	if _, err := kubeclient.Get(ctx).CoreV1().Pods(pod.Namespace).
		Patch(ctx, pod.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

// readyPods returns an error unless a service has so many pods that are ready.
func readyPods(ctx context.Context, service string, want int) error {
	pods, err := kubeclient.Get(ctx).CoreV1().Pods(environment.FromContext(ctx).Namespace()).List(ctx, metav1.ListOptions{
		LabelSelector: "serving.knative.dev/service=" + inferenceservice.ServiceName(service),
	})
	if err != nil {
		return err
	}
	ready := 0
	for i := range pods.Items {
		for _, condition := range pods.Items[i].Status.Conditions {
			if condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue && pods.Items[i].DeletionTimestamp == nil {
				ready++
			}
		}
	}
	if ready < want {
		return fmt.Errorf("%d are", ready)
	}
	return nil
}

// calls are gRPC streams to one model.
type calls struct {
	client openinference.GRPCInferenceServiceClient
	close  func()
}

// call is a stream that its client ends.
type call struct {
	openinference.GRPCInferenceService_ModelStreamInferClient
}

func openCalls(ctx context.Context, t feature.T, service string) calls {
	model, err := modelURL(ctx, service)
	if err != nil {
		t.Fatal(err)
	}
	connection, err := ingress.NewGRPCConnection(model)
	if err != nil {
		t.Fatal(err)
	}
	return calls{client: openinference.NewGRPCInferenceServiceClient(connection), close: func() { connection.Close() }}
}

func (c calls) stream(ctx context.Context, t feature.T, requestID string) *call {
	stream, err := c.client.ModelStreamInfer(metadata.AppendToOutgoingContext(ctx, requestIDHeader, requestID))
	if err != nil {
		t.Fatal(err)
	}
	return &call{stream}
}

// exchange sends a message and awaits its response.
func (c *call) exchange(t feature.T) {
	if err := c.Send(documentedCall()); err != nil {
		t.Fatal("sending through the stream:", err)
	}
	response, err := c.Recv()
	if err != nil {
		t.Fatal("the stream was cut:", err)
	}
	checkResponse(t, response.GetInferResponse())
}

func (c *call) end(t feature.T) {
	if err := c.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ended with %v", err)
	}
}
