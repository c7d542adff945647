/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"context"
	"io"
	"net/http"

	"github.com/sidenote-dev/sidenote/internal/agent/event"
)

// LineSender writes each event as one line of JSON.
type LineSender struct {
	Writer io.Writer
}

// Send writes the event in one Write.
func (s *LineSender) Send(_ context.Context, e *event.Event, sequence uint64) Result {
	line, err := e.Line(sequence)
	if err != nil {
		return Result{Unsendable: true}
	}
	if _, err := s.Writer.Write(line); err != nil {
		return NoResponse
	}
	return Result{Status: http.StatusOK}
}
