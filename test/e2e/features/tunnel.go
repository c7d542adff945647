/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"context"
	"errors"
	"net"
	"strconv"

	"golang.org/x/net/websocket"
	"knative.dev/pkg/apis"
	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/test/ingress"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/subscriber"
)

const tunnelType = "io.kubeflow.serving.inference.tunnel"

// Tunnel tests that a WebSocket passes, and gives one event when it ends, which
// says how much flowed and nothing of what.
func Tunnel() *feature.Feature {
	const service, at = "talking", "every-event"
	f := feature.NewFeatureNamed("a WebSocket")
	addDirectService(f, service, at, map[string]any{"events": []string{"request", "response", "tunnel"}})
	f.Assert("its messages pass, and its end gives one event", func(ctx context.Context, t feature.T) {
		predictUntilSeen(ctx, t, service, at)
		model, err := modelURL(ctx, service)
		if err != nil {
			t.Fatal(err)
		}
		requestID := newRequestID()
		messages := []string{"once upon a time", "there was a model"}
		if err := converse(ctx, model, requestID, messages); err != nil {
			t.Fatal(err)
		}
		awaitTypes(ctx, t, at, requestID, []string{tunnelType})
		eventsOf(ctx, t, service, at, requestType, responseType)
		events := subscriber.Events(ctx, at, ofExchange(requestID))
		if len(events) != 1 {
			t.Fatalf("the WebSocket gave %v", events)
		}
		event := events[0]
		if err := errors.Join(
			expect("the event's type", event.Type(), tunnelType),
			expect("its subject", event.Subject(), "/echo"),
			expect("its statuscode", subscriber.Attribute(event, "statuscode"), "101"),
			expect("its data", string(event.Data()), ""),
		); err != nil {
			t.Error(err)
		}
		said := 0
		for _, message := range messages {
			said += len(message)
		}
		for _, way := range []string{"bytesfromclient", "bytesfrommodel"} {
			// Frames have headers.
			if flowed, err := strconv.Atoi(subscriber.Attribute(event, way)); err != nil || flowed <= said || flowed > 2*said {
				t.Errorf("%s is %d, %v, for %d bytes of messages", way, flowed, err, said)
			}
		}
	})
	return f
}

// converse has a model give some messages back through a WebSocket.
func converse(ctx context.Context, model *apis.URL, requestID string, messages []string) error {
	target := *model
	target.Scheme, target.Path = "ws", "/echo"
	config, err := websocket.NewConfig(target.String(), model.String())
	if err != nil {
		return err
	}
	config.Header.Set(requestIDHeader, requestID)
	dialled, err := ingress.Dial(ctx, "tcp", net.JoinHostPort(model.Host, "80"))
	if err != nil {
		return err
	}
	defer dialled.Close()
	connection, err := websocket.NewClient(config, dialled)
	if err != nil {
		return err
	}
	for _, message := range messages {
		var response string
		if err := errors.Join(websocket.Message.Send(connection, message), websocket.Message.Receive(connection, &response)); err != nil {
			return err
		}
		if err := expect("what came back", response, message); err != nil {
			return err
		}
	}
	return connection.Close()
}
