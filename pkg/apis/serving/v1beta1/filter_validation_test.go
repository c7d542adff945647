/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	"strings"
	"testing"

	eventingv1 "knative.dev/eventing/pkg/apis/eventing/v1"
)

// TestAFilterIsRefusedAtItsField, with the remedy.
func TestAFilterIsRefusedAtItsField(t *testing.T) {
	type filter = eventingv1.SubscriptionsAPIFilter
	exact := func(name, value string) filter { return filter{Exact: map[string]string{name: value}} }
	for want, given := range map[string]*filter{
		"": nil,
		"invalid filter: logger.filter\nis empty: write one of exact, prefix, suffix, all, any, not and cesql":            {},
		"invalid filter: logger.filter\nhas several dialects: write one, or several under all":                            {Exact: map[string]string{"a": "b"}, CESQL: "TRUE"},
		"invalid filter: logger.filter.cesql\nthe expression gives no Boolean: write a comparison, such as team = 'risk'": {CESQL: "type"},
		"invalid filter: logger.filter.all[1].not.exact\ninvalid attribute name \"Team\": write a letter, then letters and digits, in lower case": {
			All: []filter{exact("a", "b"), {Not: new(exact("Team", "b"))}},
		},
		"invalid filter: logger.filter.any[0].prefix.team\nthe value is empty, which no event passes: write a value": {
			Any: []filter{{Prefix: map[string]string{"team": ""}}},
		},
	} {
		got := ""
		if err := validateFilter(given).ViaField("filter").ViaField("logger"); err != nil {
			got = strings.TrimSpace(err.Error())
		}
		if got != want {
			t.Errorf("%+v: %q, want %q", given, got, want)
		}
	}
	for _, given := range []filter{exact("team", "risk"), {CESQL: "team = 'risk' AND statuscode >= 500"}, {Not: new(exact("type", "x"))}} {
		if err := validateFilter(&given); err != nil {
			t.Errorf("%+v: %v", given, err)
		}
	}
}
