/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import "github.com/sidenote-dev/sidenote/pkg/agentconfig"

// Schedule says how often and when an event that failed is tried again.
type Schedule = agentconfig.Schedule

// EventDeadline is the age at which an event is given up.
const EventDeadline = agentconfig.EventDeadline
