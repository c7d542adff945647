/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"knative.dev/pkg/apis"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/internal/inference"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// EventKinds are the kinds of event that a logger can send
// (docs/event-contract.md).
var EventKinds = eventKinds()

func eventKinds() (kinds []string) {
	for _, kind := range agentconfig.Kinds() {
		kinds = append(kinds, string(kind))
	}
	return kinds
}

// GreatestMaxPayloadBytes bounds maxPayloadBytes: no Broker takes more.
const GreatestMaxPayloadBytes = 16 << 20

// ValidateAt refuses what the agent can't do. Path is the logger's in its object,
// as in spec.predictor.logger, and object is the one whose annotations and labels
// the logger reads, as far as it is known.
func (s *LoggerSpec) ValidateAt(ctx context.Context, path string, object metadata.Object) *apis.FieldError {
	return s.validate(ctx, path).ViaField(strings.Split(path, ".")...).Also(s.validateMetadata(ctx, path, object))
}

// validate names fields by their path in the logger.
func (s *LoggerSpec) validate(ctx context.Context, path string) *apis.FieldError {
	errs := s.Unknown.Validate(reflect.TypeFor[LoggerSpec](), loggerAdvice)
	errs = errs.Also(validateOneOf(s.Mode, "mode", LogAll, LogRequest, LogResponse))
	errs = errs.Also(validateOneOf(s.MetadataRefresh, "metadataRefresh", RefreshByRevision, RefreshLive))
	errs = errs.Also(validateOneOf(s.ContentMode, "contentMode", ContentModeAuto, ContentModeBinary, ContentModeStructured))
	errs = errs.Also(s.validateSinks(ctx, path))
	errs = errs.Also(validateDelivery(ctx, path, s.Delivery).ViaField("delivery"))
	errs = errs.Also(s.Spool.validate().ViaField("spool"))
	errs = errs.Also(validateOneOf(s.Profile, "profile", ProfileSidenote, ProfileKServe))
	errs = errs.Also(s.validateProfile())
	errs = errs.Also(validateOneOf(s.Streams, "streams", StreamFrames, StreamMerged))
	errs = errs.Also(validateFilter(s.Filter).ViaField("filter"))
	errs = errs.Also(s.Auth.validate().ViaField("auth"))
	errs = errs.Also(s.Sampling.validate().ViaField("sampling"))
	errs = errs.Also(s.validateMaxEventsPerSecond())
	errs = errs.Also(validateEvents(s.Events))
	errs = errs.Also(s.validatePaths())
	agent, resourceErrs := config.FromContextOrDefaults(ctx).Agent.WithResources(s.Resources)
	if resourceErrs != nil {
		return errs.Also(resourceErrs.ViaField("resources"))
	}
	return errs.Also(s.validateMaxPayloadBytes(path, agent)).Also(s.validateRoom(path, agent))
}

func (s *LoggerSpec) validateMaxPayloadBytes(path string, agent *config.Agent) *apis.FieldError {
	const field = "maxPayloadBytes"
	switch {
	case s.MaxPayloadBytes == nil:
		return nil
	case *s.MaxPayloadBytes < 1, *s.MaxPayloadBytes > GreatestMaxPayloadBytes:
		return apis.ErrOutOfBoundsValue(*s.MaxPayloadBytes, 1, GreatestMaxPayloadBytes, field)
	case *s.MaxPayloadBytes > agent.MostPayloadBytes():
		return apis.ErrInvalidValue(*s.MaxPayloadBytes, field, fmt.Sprintf(
			"the agent's buffer-bytes is %d: write at most half of that, or a higher memory limit in %s.resources.limits.memory", agent.BufferBytes, path))
	}
	return nil
}

func validateEvents(kinds []string) (errs *apis.FieldError) {
	for i, kind := range kinds {
		if !slices.Contains(EventKinds, kind) {
			violation := apis.ErrInvalidArrayValue(kind, "events", i)
			violation.Details = "write one of " + quoted(EventKinds)
			errs = errs.Also(violation)
		}
	}
	return errs
}

func (s *LoggerSpec) validatePaths() (errs *apis.FieldError) {
	for i, pattern := range s.Paths {
		if err := inference.ValidatePattern(pattern); err != nil {
			errs = errs.Also(&apis.FieldError{
				Message: fmt.Sprintf("invalid value: %q", pattern),
				Paths:   []string{fmt.Sprintf("paths[%d]", i)},
				Details: err.Error(),
			})
		}
	}
	if len(s.Paths) > inference.MaxPatterns {
		errs = errs.Also(&apis.FieldError{
			Message: fmt.Sprintf("%d patterns listed: at most %d can be", len(s.Paths), inference.MaxPatterns),
			Paths:   []string{"paths"},
			Details: "write fewer, with * for any characters",
		})
	}
	return errs
}
