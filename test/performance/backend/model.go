/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package backend

import (
	"fmt"
	"sync"

	"github.com/sidenote-dev/sidenote/test/performance/load"
	"github.com/sidenote-dev/sidenote/test/performance/wire"
)

// Model responds to each request over HTTP/1.1 with a body as long as the request's.
type Model struct {
	server *server
	mu     sync.RWMutex
	// responses are made once for each length.
	responses map[int64][]byte
}

// NewModel starts a model.
func NewModel() (*Model, error) {
	m := &Model{responses: make(map[int64][]byte)}
	var err error
	if m.server, err = serve(m.response); err != nil {
		return nil, fmt.Errorf("starting a model: %w", err)
	}
	return m, nil
}

// Address is where it listens.
func (m *Model) Address() string { return m.server.address() }

// Close ends it.
func (m *Model) Close() { m.server.close() }

func (m *Model) response(_ *wire.Head, body int64) []byte {
	m.mu.RLock()
	response := m.responses[body]
	m.mu.RUnlock()
	if response != nil {
		return response
	}
	response = append(fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", body),
		load.Body(int(body))...)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.responses[body] = response
	return response
}
