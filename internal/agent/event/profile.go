/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import "github.com/sidenote-dev/sidenote/internal/agentconfig"

// As returns the event in the form of a profile. It has the same data. An error
// means that the event can't be expressed in that form.
func (e *Event) As(profile agentconfig.Profile) (*Event, error) {
	return e, nil // TODO(profile)
}
