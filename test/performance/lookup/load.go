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
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/sidenote-dev/sidenote/test/performance/load"
)

const (
	exchangeTimeout = 20 * time.Second
	// connections are more than a load has in use at once.
	connections = 64
)

// numbered makes exchanges with the X-Request-Id of a prefix and a number.
type numbered struct {
	ctx    context.Context
	client *http.Client
	url    string
	body   []byte
	prefix string
	number *atomic.Int64
	// begin is told the id before the request is sent.
	begin func(id string)
}

// newLoad returns the senders of one load.
func newLoad(ctx context.Context, url, prefix string, body []byte, begin func(id string)) []load.Sender {
	transport := &http.Transport{MaxIdleConnsPerHost: connections, DisableCompression: true}
	n := &numbered{
		ctx: ctx, client: &http.Client{Transport: transport, Timeout: exchangeTimeout},
		url: url + load.PredictPath, body: body, prefix: prefix, number: new(atomic.Int64), begin: begin,
	}
	senders := make([]load.Sender, connections)
	for i := range senders {
		senders[i] = n
	}
	return senders
}

// Exchange makes one exchange, and checks the response.
func (n *numbered) Exchange() error {
	asked, err := http.NewRequestWithContext(n.ctx, http.MethodPost, n.url, bytes.NewReader(n.body))
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	id := n.prefix + strconv.FormatInt(n.number.Add(1), 10)
	asked.Header.Set("Content-Type", "application/json")
	asked.Header.Set("X-Request-Id", id)
	n.begin(id)
	response, err := n.client.Do(asked)
	if err != nil {
		return fmt.Errorf("asking the model: %w", err)
	}
	defer response.Body.Close()
	got, err := io.Copy(io.Discard, response.Body)
	if err != nil {
		return fmt.Errorf("reading a response: %w", err)
	}
	if response.StatusCode != http.StatusOK || got != int64(len(n.body)) {
		return fmt.Errorf("got status %d and %d bytes, want 200 and %d", response.StatusCode, got, len(n.body))
	}
	return nil
}

// Close ends the idle connections.
func (n *numbered) Close() { n.client.CloseIdleConnections() }
