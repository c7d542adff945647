/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agentconfig

import (
	"slices"
	"testing"
)

// TestAProfileHasItsOwnDefaultKinds, which the kinds of the agent and those of the sink
// replace.
func TestAProfileHasItsOwnDefaultKinds(t *testing.T) {
	pair := []Kind{KindRequest, KindResponse}
	for _, test := range []struct {
		name      string
		arguments []string
		want      []Kind
	}{
		{"no profile", nil, DefaultKinds()},
		{"sidenote", []string{"--sink.default.profile=sidenote"}, DefaultKinds()},
		{"kserve", []string{"--sink.default.profile=kserve"}, pair},
		{"kserve, and kinds of the agent", []string{"--sink.default.profile=kserve", "--events=request,stream"}, []Kind{KindRequest, KindStream}},
		{"kserve, and kinds of the sink", []string{"--sink.default.profile=kserve", "--events=request,stream", "--sink.default.events=loop"}, []Kind{KindLoop}},
	} {
		given, err := Parse(append([]string{"--sink=http://sink"}, test.arguments...))
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if got := given.Sinks[0].Events; !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestTheTypeOfAKindInAProfile(t *testing.T) {
	for _, kind := range Kinds() {
		own := "io.kubeflow.serving.inference." + string(kind)
		if got := ProfileSidenote.Type(kind); got != own || ProfileSidenote.Reshapes(kind) {
			t.Errorf("in the profile sidenote %s has the type %s", kind, got)
		}
		want := own
		if kind == KindRequest || kind == KindResponse {
			want = "org.kubeflow.serving.inference." + string(kind)
		}
		if got := ProfileKServe.Type(kind); got != want {
			t.Errorf("in the profile kserve %s has the type %s", kind, got)
		}
	}
}
