/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	"strings"
	"testing"
)

func TestProfileKServeIsBinary(t *testing.T) {
	kserve, sidenote, inherits := LoggerSink{Profile: ProfileKServe}, LoggerSink{Profile: ProfileSidenote}, LoggerSink{}
	for _, test := range []struct {
		name    string
		logger  LoggerSpec
		refused bool
	}{
		{"no profile, structured", LoggerSpec{ContentMode: ContentModeStructured}, false},
		{"kserve", LoggerSpec{Profile: ProfileKServe}, false},
		{"kserve, binary", LoggerSpec{Profile: ProfileKServe, ContentMode: ContentModeBinary}, false},
		{"kserve, auto", LoggerSpec{Profile: ProfileKServe, ContentMode: ContentModeAuto}, false},
		{"kserve, structured", LoggerSpec{Profile: ProfileKServe, ContentMode: ContentModeStructured}, true},
		{"each sink kserve, structured", LoggerSpec{Sinks: []LoggerSink{kserve, kserve}, ContentMode: ContentModeStructured}, true},
		{"each sink kserve by the logger, structured", LoggerSpec{Profile: ProfileKServe, Sinks: []LoggerSink{inherits}, ContentMode: ContentModeStructured}, true},
		{"another sink needs it", LoggerSpec{Sinks: []LoggerSink{kserve, inherits}, ContentMode: ContentModeStructured}, false},
		{"another sink has its own profile", LoggerSpec{Profile: ProfileKServe, Sinks: []LoggerSink{sidenote}, ContentMode: ContentModeStructured}, false},
	} {
		err := test.logger.validateProfile()
		if (err != nil) != test.refused || err != nil && (!strings.Contains(err.Error(), "contentMode") || !strings.Contains(err.Error(), "remove")) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}
