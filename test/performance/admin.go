/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// allocated is what a process has allocated since its start.
type allocated struct{ Allocations, Bytes float64 }

// page reads a page of a process's admin port.
func page(address, path string) ([]byte, error) {
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + address + path)
	if err != nil {
		return nil, fmt.Errorf("asking a process: %w", err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("asking a process: %w", err)
	}
	return content, nil
}

func bareAllocations(admin string) (allocated, error) {
	content, err := page(admin, "/")
	if err != nil {
		return allocated{}, err
	}
	var a allocated
	if err := json.Unmarshal(content, &a); err != nil {
		return allocated{}, fmt.Errorf("reading allocations: %w", err)
	}
	return a, nil
}

// allocationsAge is how old the figures in the agent's metrics may be
// (OpenTelemetry's instrumentation of the runtime), with something to spare.
const allocationsAge = 16 * time.Second

func agentAllocations(admin string) (allocated, error) {
	content, err := page(admin, "/metrics")
	if err != nil {
		return allocated{}, err
	}
	return allocated{
		Allocations: metric(string(content), "go_memory_allocations_total"),
		Bytes:       metric(string(content), "go_memory_allocated_bytes_total"),
	}, nil
}

// metric returns the sum of a metric's series in Prometheus' text format.
func metric(exposition, name string) float64 {
	sum := 0.0
	for line := range strings.Lines(exposition) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || rest[0] != '{' && rest[0] != ' ' {
			continue
		}
		fields := strings.Fields(rest[strings.LastIndex(rest, "}")+1:])
		if len(fields) > 0 {
			value, _ := strconv.ParseFloat(fields[0], 64)
			sum += value
		}
	}
	return sum
}

// status is a part of the agent's /status.
type status struct {
	Skipped struct {
		Path int64 `json:"path"`
	} `json:"skipped"`
	Sinks struct {
		Default ledger `json:"default"`
	} `json:"sinks"`
}

type ledger struct {
	Observed, Delivered, Pending, Spooled int64
	Dropped                               map[string]int64
}

// lost counts events that the agent dropped.
func (l ledger) lost() int64 {
	sum := int64(0)
	for _, dropped := range l.Dropped {
		sum += dropped
	}
	return sum
}

func readStatus(admin string) (status, error) {
	content, err := page(admin, "/status")
	if err != nil {
		return status{}, err
	}
	var s status
	if err := json.Unmarshal(content, &s); err != nil {
		return status{}, fmt.Errorf("reading the agent's status: %w", err)
	}
	return s, nil
}
