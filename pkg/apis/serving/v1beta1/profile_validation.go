/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	"cmp"
	"slices"

	"knative.dev/pkg/apis"
)

// validateProfile refuses a content mode that no event would have. The profile
// kserve takes precedence over contentMode, which other sinks may need.
func (s *LoggerSpec) validateProfile() *apis.FieldError {
	if s.ContentMode != ContentModeStructured || !s.onlyKServe() {
		return nil
	}
	return apis.ErrInvalidValue(s.ContentMode, "contentMode",
		"events of the profile kserve are always in binary mode: remove contentMode")
}

// onlyKServe reports whether each sink has the profile kserve.
func (s *LoggerSpec) onlyKServe() bool {
	if len(s.Sinks) == 0 {
		return s.Profile == ProfileKServe
	}
	return !slices.ContainsFunc(s.Sinks, func(sink LoggerSink) bool {
		return cmp.Or(sink.Profile, s.Profile) != ProfileKServe
	})
}
