/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"k8s.io/client-go/kubernetes"
)

// requests counts requests by verb.
type requests map[string]int

// since returns the requests after an earlier count, without verbs that have none.
func (r requests) since(earlier requests) requests {
	between := make(requests)
	for verb, count := range r {
		if count != earlier[verb] {
			between[verb] = count - earlier[verb]
		}
	}
	return between
}

func (r requests) total() int {
	total := 0
	for _, count := range r {
		total += count
	}
	return total
}

const countedResource = "inferenceservices"

// parseRequests reads how many requests for InferenceServices an API server's
// metrics count (apiserver_request_total), by verb, whatever became of them.
func parseRequests(exposition io.Reader) (requests, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(exposition)
	if err != nil {
		return nil, fmt.Errorf("reading the API server's metrics: %w", err)
	}
	counted := make(requests)
	for _, series := range families["apiserver_request_total"].GetMetric() {
		labels := make(map[string]string)
		for _, label := range series.GetLabel() {
			labels[label.GetName()] = label.GetValue()
		}
		if labels["resource"] == countedResource {
			counted[labels["verb"]] += int(series.GetCounter().GetValue())
		}
	}
	return counted, nil
}

// counter reads what the API server has counted.
type counter struct{ client *kubernetes.Clientset }

func (c counter) read(ctx context.Context) (requests, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	exposition, err := c.client.RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the API server's metrics: %w", err)
	}
	return parseRequests(bytes.NewReader(exposition))
}

// settled reads until the count stands still: a watch is counted after its
// client has gone.
func (c counter) settled(ctx context.Context) (requests, error) {
	const interval, most = 200 * time.Millisecond, 50
	last, err := c.read(ctx)
	for range most {
		if err != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(interval):
		}
		before := last
		if last, err = c.read(ctx); err == nil && maps.Equal(before, last) {
			return last, nil
		}
	}
	return nil, fmt.Errorf("the API server's count of requests did not stand still: %v", last)
}
