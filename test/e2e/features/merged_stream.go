/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"

	eventingv1 "knative.dev/eventing/pkg/apis/eventing/v1"
	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/test/ingress"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/inferenceservice"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/subscriber"
)

// chatFrames is a stream of the OpenAI API, and chatMerged is the response that the
// API gives without a stream.
const (
	chatFrames = `data: {"id":"c-1","object":"chat.completion.chunk","created":1741570283,"model":"llama-8b","choices":[{"index":0,"delta":{"role":"assistant","content":"Hel"},"finish_reason":null}]}

data: {"id":"c-1","object":"chat.completion.chunk","created":1741570283,"model":"llama-8b","choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":"stop"}]}

data: {"id":"c-1","object":"chat.completion.chunk","created":1741570283,"model":"llama-8b","choices":[],"usage":{"prompt_tokens":12,"completion_tokens":3,"total_tokens":15}}

data: [DONE]

`
	chatMerged = `{"id":"c-1","object":"chat.completion","created":1741570283,"model":"llama-8b",` +
		`"choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],` +
		`"usage":{"prompt_tokens":12,"completion_tokens":3,"total_tokens":15}}`
)

// MergedStream tests that the stream of a language model gives one JSON document
// with its usage as attributes, that the Trigger of docs/how-to/llm-usage.md selects
// it, and that the client gets the frames.
func MergedStream() *feature.Feature {
	const service, all, usage = "chat", "every-event", "llm-usage"
	f := feature.NewFeatureNamed("a merged stream")
	addBroker(f)
	addSubscriber(f, all)
	addSubscriber(f, usage, eventingv1.SubscriptionsAPIFilter{CESQL: "EXISTS genaioutputtokens"})
	addService(f, service, inferenceservice.WithLogger(map[string]any{"streams": "merged"}))
	f.Assert("it is one document, and its usage is on the event", func(ctx context.Context, t feature.T) {
		predictUntilSeen(ctx, t, service, all)
		eventually(ctx, t, "events at "+usage, func(ctx context.Context) error {
			if _, err := chat(ctx, service); err != nil {
				return err
			}
			if len(subscriber.Events(ctx, usage)) == 0 {
				return fmt.Errorf("it got none")
			}
			return nil
		})
		id, err := chat(ctx, service)
		if err != nil {
			t.Fatal(err)
		}
		awaitTypes(ctx, t, all, id, []string{requestType, streamType})
		awaitTypes(ctx, t, usage, id, []string{streamType})
		if got := subscriber.Events(ctx, usage, ofExchange(id)); len(got) != 1 {
			t.Errorf("the Trigger let through %v", got)
		}
		if got := subscriber.Events(ctx, usage, subscriber.WithType(responseType)); len(got) != 0 {
			t.Errorf("the Trigger let through %v", got)
		}
		event := subscriber.Events(ctx, usage, ofExchange(id))[0]
		if !sameJSON(string(event.Data()), chatMerged) {
			t.Errorf("the event carries %s, want %s", event.Data(), chatMerged)
		}
		if err := expect("datacontenttype", event.DataContentType(), "application/json"); err != nil {
			t.Error(err)
		}
		for name, want := range map[string]string{
			"genaioperation":     "chat",
			"genairesponsemodel": "llama-8b",
			"genaiinputtokens":   "12",
			"genaioutputtokens":  "3",
			"genaifinishreasons": "stop",
		} {
			if err := expect(name, subscriber.Attribute(event, name), want); err != nil {
				t.Error(err)
			}
		}
		if subscriber.Attribute(event, "genaifirstchunkms") == "" {
			t.Error("the event has no genaifirstchunkms")
		}
		request := subscriber.Events(ctx, all, ofExchange(id), subscriber.WithType(requestType))[0]
		if err := expect("genairequestmodel", subscriber.Attribute(request, "genairequestmodel"), "llama"); err != nil {
			t.Error(err)
		}
	})
	return f
}

// chat has the model respond with chatFrames, and gives the exchange's name.
func chat(ctx context.Context, service string) (string, error) {
	model, err := modelURL(ctx, service)
	if err != nil {
		return "", err
	}
	requestID := newRequestID()
	status, body, err := post(ctx, ingress.NewHTTPClient(), model, "/openai/v1/chat/completions",
		`{"model":"llama","stream":true,"messages":[{"role":"user","content":"Hi"}]}`, map[string]string{
			requestIDHeader:  requestID,
			"X-Model-Body":   base64.StdEncoding.EncodeToString([]byte(chatFrames)),
			"X-Model-Header": "Content-Type=text/event-stream",
		})
	return requestID, errors.Join(err,
		expect("the status", status, http.StatusOK),
		expect("the client got the frames", strings.TrimSpace(body), strings.TrimSpace(chatFrames)))
}
