/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"fmt"

	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agent/refresh"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// setUpHeaders makes what takes attributes from headers, and the guard over their
// values. An agent without such headers watches no file for the guard.
func (a *Agent) setUpHeaders(given *agentconfig.Config) error {
	denied := metadata.DefaultDeniedValues()
	if len(given.DeniedValues) > 0 {
		var err error
		if denied, err = metadata.ParseDeniedValues(given.DeniedValues); err != nil {
			return fmt.Errorf("argument --denied-value: %w", err)
		}
	}
	directory := given.MetadataDir
	if len(given.MetadataHeaders) == 0 {
		directory = ""
	}
	a.guard = refresh.NewGuard(directory, denied, a.logger)
	a.headers = event.NewHeaders(given.MetadataHeaders, a.guard.DeniedValues)
	return nil
}
