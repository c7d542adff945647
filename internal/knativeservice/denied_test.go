/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"slices"
	"testing"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

func TestDeniedIn(t *testing.T) {
	patterns := func(texts ...string) metadata.DeniedValues {
		denied, err := metadata.ParseDeniedValues(texts)
		if err != nil {
			t.Fatal(err)
		}
		return denied
	}
	defaults := metadata.DefaultDeniedValues()
	logger := &v1beta1.LoggerSpec{MetadataAnnotations: []string{"team", "owner"}}
	live := &v1beta1.LoggerSpec{MetadataAnnotations: []string{"team", "owner"}, MetadataRefresh: v1beta1.RefreshLive}
	recorded := []metadata.Attribute{{Name: "owner", Value: "ml-ops"}, {Name: "team", Value: "ai"}}
	headers := []agentconfig.HeaderSource{{Attribute: "tenant", Header: "X-Tenant"}}
	for name, test := range map[string]struct {
		applied *Applied
		logger  *v1beta1.LoggerSpec
		keys    metadata.Denylist
		values  metadata.DeniedValues
		want    []string
	}{
		"no record":                    {nil, logger, metadata.Denylist{"*"}, defaults, nil},
		"nothing denied":               {&Applied{Metadata: recorded}, logger, metadata.Denylist{"other"}, defaults, nil},
		"a key":                        {&Applied{Metadata: recorded}, logger, metadata.Denylist{"TEAM"}, defaults, []string{"team"}},
		"a value":                      {&Applied{Metadata: recorded}, logger, nil, patterns("^ml-"), []string{"owner"}},
		"a key that was denied before": {&Applied{Metadata: recorded[:1]}, logger, metadata.Denylist{"team"}, defaults, nil},
		"live metadata":                {&Applied{Metadata: recorded}, live, metadata.Denylist{"team"}, patterns("^ml-"), nil},
		"headers under the same list":  {&Applied{Headers: headers}, logger, nil, defaults, nil},
		"headers under a longer list":  {&Applied{Headers: headers}, logger, nil, append(defaults, patterns("x")...), []string{"tenant"}},
		"headers under a shorter list": {&Applied{Headers: headers, DeniedValues: []string{"x", "y"}}, logger, nil, patterns("y"), nil},
		"headers under another list":   {&Applied{Headers: headers, DeniedValues: []string{"x"}}, logger, nil, patterns("y"), []string{"tenant"}},
	} {
		if got := DeniedIn(test.applied, test.logger, &config.Logger{DeniedAnnotations: test.keys, DeniedValues: test.values}); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestKeepLast(t *testing.T) {
	secret, err := metadata.ParseDeniedValues([]string{"secret"})
	if err != nil {
		t.Fatal(err)
	}
	last := []metadata.Attribute{{Name: "a", Value: "last a"}, {Name: "b", Value: "last b"}, {Name: "c", Value: "secret"}, {Name: "d", Value: "last d"}, {Name: "gone", Value: "x"}}
	got := Selection{
		Listed:     []metadata.Attribute{{Name: "a", Value: "a\n"}, {Name: "b", Value: "b"}, {Name: "c", Value: "c\n"}, {Name: "d", Value: "d\n"}},
		Attributes: []metadata.Attribute{{Name: "b", Value: "b"}},
	}.KeepLast(last, []string{"d"}, secret)
	if !slices.Equal(got.Attributes, []metadata.Attribute{{Name: "a", Value: "last a"}, {Name: "b", Value: "b"}}) || !slices.Equal(got.Kept, []string{"a"}) {
		t.Errorf("attributes %v, kept %q", got.Attributes, got.Kept)
	}
}

// The list is written only where the agent needs it and doesn't have it.
func TestDeniedValuesOfATemplate(t *testing.T) {
	other, err := metadata.ParseDeniedValues([]string{"x"})
	if err != nil {
		t.Fatal(err)
	}
	headers := []agentconfig.HeaderSource{{Attribute: "tenant", Header: "X-Tenant"}}
	for name, test := range map[string]struct {
		desired Desired
		want    []string
	}{
		"no headers":        {Desired{DeniedValues: other}, nil},
		"the built-in list": {Desired{Headers: headers, DeniedValues: metadata.DefaultDeniedValues()}, nil},
		"another list":      {Desired{Headers: headers, DeniedValues: other}, []string{"x"}},
	} {
		if got := Decide(nil, true, test.desired).DeniedValues; !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
