/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"github.com/sidenote-dev/sidenote/test/performance/backend"
)

// models are the models of all protocols.
type models struct{ http1 *backend.Model }

func startModels() (*models, error) {
	m := new(models)
	var err error
	if m.http1, err = backend.NewModel(); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *models) close() { m.http1.Close() }
