/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"
	"knative.dev/pkg/apis"
	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/test/ingress"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/inferenceservice"
)

// instances is the request that the test model documents, and predictions is
// its response.
const (
	instances   = `{"instances": [[1, 1], [-1, -1]]}`
	predictions = `{"predictions":[0.8,0.2]}`
)

// requestIDHeader carries the name by which a test knows its exchange again.
const requestIDHeader = "X-Request-Id"

// newRequestID returns a name for an exchange that no other one has.
func newRequestID() string { return uuid.NewString() }

// modelURL returns the URL at which an InferenceService says that it is.
func modelURL(ctx context.Context, name string) (*apis.URL, error) {
	service, err := inferenceservice.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	if service.Status.URL == nil {
		return nil, fmt.Errorf("InferenceService %s has no status.url", name)
	}
	return service.Status.URL, nil
}

// predict sends the documented request to a model, through the ingress, and
// gives an error for any other response than the documented one.
func predict(ctx context.Context, client *http.Client, model *apis.URL, requestID string) error {
	return predictWith(ctx, client, model, map[string]string{requestIDHeader: requestID})
}

func predictWith(ctx context.Context, client *http.Client, model *apis.URL, headers map[string]string) error {
	status, body, err := post(ctx, client, model, "/v1/models/m:predict", instances, headers)
	if err != nil {
		return err
	}
	if status != http.StatusOK || strings.TrimSpace(body) != predictions {
		return fmt.Errorf("the model responded with %d %q", status, body)
	}
	return nil
}

// post sends JSON to a path of a model and reads the whole response.
func post(ctx context.Context, client *http.Client, model *apis.URL, path, body string, headers map[string]string) (int, string, error) {
	response, err := open(ctx, client, model, path, body, headers)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	reply, err := io.ReadAll(response.Body)
	return response.StatusCode, string(reply), err
}

// open sends JSON to a path of a model. The caller closes the response's body.
func open(ctx context.Context, client *http.Client, model *apis.URL, path, body string, headers map[string]string) (*http.Response, error) {
	target := *model
	target.Path = path
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	return client.Do(request)
}

// predictOnce sends one prediction to an InferenceService and fails the step
// where the model doesn't respond to it as documented. It gives the exchange's
// name.
func predictOnce(ctx context.Context, t feature.T, name string) string {
	model, err := modelURL(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	requestID := newRequestID()
	if err := predict(ctx, ingress.NewHTTPClient(), model, requestID); err != nil {
		t.Fatal(err)
	}
	return requestID
}

// sameJSON tells whether two texts are the same JSON value.
func sameJSON(a, b string) bool {
	var left, right any
	if json.Unmarshal([]byte(a), &left) != nil || json.Unmarshal([]byte(b), &right) != nil {
		return false
	}
	leftText, leftErr := json.Marshal(left)
	rightText, rightErr := json.Marshal(right)
	return leftErr == nil && rightErr == nil && slices.Equal(leftText, rightText)
}
