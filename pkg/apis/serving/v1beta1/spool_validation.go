/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/resource"
	"knative.dev/pkg/apis"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
)

// Bounds of a spool's volume.
var (
	// MinSpoolSize holds some of the largest bodies that an event carries.
	MinSpoolSize = resource.MustParse("16Mi")
	// MaxSpoolSize is what a node's disk may have, and a typing error has more
	// of: a spooled event is given up after an hour, whatever the room.
	MaxSpoolSize = resource.MustParse("1Ti")
)

func (s *SpoolSpec) validate() (errs *apis.FieldError) {
	if s == nil {
		return nil
	}
	bounds := fmt.Sprintf("write from %s to %s, as 1Gi: the pod's volume gets that size", MinSpoolSize.String(), MaxSpoolSize.String())
	switch {
	case s.SizeLimit == nil:
		missing := apis.ErrMissingField("sizeLimit")
		missing.Details = bounds
		errs = errs.Also(missing)
	case s.SizeLimit.Cmp(MinSpoolSize) < 0, s.SizeLimit.Cmp(MaxSpoolSize) > 0:
		errs = errs.Also(apis.ErrInvalidValue(s.SizeLimit.String(), "sizeLimit", bounds))
	}
	return errs.Also(validateOneOf(s.WhenFull, "whenFull", DropOldest, DropNewest))
}

// maxAttributeBytes is the room of an event beside its body in the share of a
// sink.
const maxAttributeBytes = 64 << 10

// validateRoom refuses sinks and spools that an agent and its pod have no room
// for. Path is the logger's in its object.
func (s *LoggerSpec) validateRoom(path string, agent *config.Agent) (errs *apis.FieldError) {
	sinks := s.EffectiveSinks()
	if len(sinks) < 2 || len(sinks) > MaxSinks {
		return nil
	}
	var total resource.Quantity
	var fields []string
	budget := agent.BufferBytes
	for _, sink := range sinks {
		if sink.Spool != nil && sink.Spool.SizeLimit != nil {
			total.Add(*sink.Spool.SizeLimit)
			fields = append(fields, sink.Field("spool.sizeLimit"))
		}
	}
	if len(fields) > 0 {
		budget -= budget / agentconfig.SpoolsPart
	}
	if total.Cmp(MaxSpoolSize) > 0 {
		errs = errs.Also(&apis.FieldError{
			Message: fmt.Sprintf("the spools of all sinks have %s", total.String()),
			Paths:   slices.Compact(fields),
			Details: fmt.Sprintf("each sink has a volume of its own in the pod: write at most %s for all of them", MaxSpoolSize.String()),
		})
	}
	payload := agent.MaxPayloadBytes
	if s.MaxPayloadBytes != nil {
		payload = *s.MaxPayloadBytes
	}
	if share := agentconfig.SinkShare(budget, len(sinks)); payload+maxAttributeBytes > share {
		errs = errs.Also(&apis.FieldError{
			Message: fmt.Sprintf("each of %d sinks has %d bytes of the agent's buffer-bytes, too few for an event with a body of %d bytes", len(sinks), share, payload),
			Paths:   []string{"sinks"},
			Details: fmt.Sprintf("write fewer sinks, at most %d in %s.maxPayloadBytes, or a higher memory limit in %s.resources.limits.memory", max(0, share-maxAttributeBytes), path, path),
		})
	}
	return errs
}
