/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"github.com/sidenote-dev/sidenote/test/performance/backend"
)

// models are the models of all protocols.
type models struct {
	http1   *backend.Model
	streams *backend.Streams
	grpc    *backend.GRPC
}

func startModels() (*models, error) {
	m := new(models)
	var err error
	if m.http1, err = backend.NewModel(); err != nil {
		return nil, err
	}
	if m.streams, err = backend.NewStreams(); err != nil {
		m.close()
		return nil, err
	}
	if m.grpc, err = backend.NewGRPC(); err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

func (m *models) close() {
	m.http1.Close()
	if m.streams != nil {
		m.streams.Close()
	}
	if m.grpc != nil {
		m.grpc.Close()
	}
}
