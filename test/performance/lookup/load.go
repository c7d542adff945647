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
	"sync"
	"time"
)

const (
	exchangeTimeout = 20 * time.Second
	// maxIdle is more connections than a load has in use at once.
	maxIdle = 256
)

// schedule says when exchanges begin, whatever became of those before.
type schedule struct {
	rate   float64
	length time.Duration
}

func (s schedule) count() int { return int(s.rate * s.length.Seconds()) }

// at is when exchange i begins, from the first one's begin.
func (s schedule) at(i int) time.Duration {
	return time.Duration(float64(i) / s.rate * float64(time.Second))
}

// load makes the exchanges of a schedule, and gives how late each began. Their
// X-Request-Id is prefix and a number, of which begin is told before it is sent.
func load(ctx context.Context, url, prefix string, s schedule, body []byte, begin func(id string)) ([]time.Duration, error) {
	transport := &http.Transport{MaxIdleConnsPerHost: maxIdle, DisableCompression: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: exchangeTimeout}
	lateness := make([]time.Duration, s.count())
	var group sync.WaitGroup
	var mu sync.Mutex
	var first error
	began := time.Now()
	for i := range lateness {
		if err := sleep(ctx, s.at(i)-time.Since(began)); err != nil {
			group.Wait()
			return nil, err
		}
		group.Go(func() {
			lateness[i] = time.Since(began) - s.at(i)
			id := prefix + strconv.Itoa(i)
			begin(id)
			if err := exchange(ctx, client, url, id, body); err != nil {
				mu.Lock()
				defer mu.Unlock()
				if first == nil {
					first = err
				}
			}
		})
	}
	group.Wait()
	return lateness, first
}

func sleep(ctx context.Context, length time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(length):
		return nil
	}
}

func exchange(ctx context.Context, client *http.Client, url, id string, body []byte) error {
	asked, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/models/m:predict", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	asked.Header.Set("Content-Type", "application/json")
	asked.Header.Set("X-Request-Id", id)
	answered, err := client.Do(asked)
	if err != nil {
		return fmt.Errorf("asking the model: %w", err)
	}
	defer answered.Body.Close()
	got, err := io.Copy(io.Discard, answered.Body)
	if err != nil {
		return fmt.Errorf("reading an answer: %w", err)
	}
	if answered.StatusCode != http.StatusOK || got != int64(len(body)) {
		return fmt.Errorf("got status %d and %d bytes, want 200 and %d", answered.StatusCode, got, len(body))
	}
	return nil
}

// jsonBody is a body of a length, as the V1 protocol has it.
func jsonBody(length int) []byte {
	const head, tail = `{"instances":["`, `"]}`
	body := append([]byte(head), bytes.Repeat([]byte("x"), length-len(head)-len(tail))...)
	return append(body, tail...)
}
