/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package webhook

import (
	"reflect"

	"k8s.io/apimachinery/pkg/util/json"
)

// carryOver applies the difference between two states of a Go value to the JSON
// that the first was read from. What the Go type doesn't have, or writes otherwise,
// stays as it was written.
func carryOver(written, before, after any) (any, error) {
	var plain [2]any
	for i, value := range []any{before, after} {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(text, &plain[i]); err != nil {
			return nil, err
		}
	}
	return carried(written, plain[0], plain[1]), nil
}

func carried(written, before, after any) any {
	if reflect.DeepEqual(before, after) {
		return written
	}
	switch after := after.(type) {
	case map[string]any:
		before, wasObject := before.(map[string]any)
		if !wasObject || !reflect.DeepEqual(before["name"], after["name"]) {
			return after
		}
		return carriedFields(written, before, after)
	case []any:
		before, wasList := before.([]any)
		present, isList := written.([]any)
		if !wasList || !isList || len(present) != len(before) {
			return after
		}
		items := make([]any, len(after))
		for i := range after {
			if items[i] = after[i]; i < len(before) {
				items[i] = carried(present[i], before[i], after[i])
			}
		}
		return items
	default:
		return after
	}
}

func carriedFields(written any, before, after map[string]any) map[string]any {
	fields := make(map[string]any)
	present, _ := written.(map[string]any)
	for key, value := range present {
		_, was := before[key]
		if _, is := after[key]; is || !was {
			fields[key] = value
		}
	}
	for key, value := range after {
		if was, found := before[key]; !found || !reflect.DeepEqual(was, value) {
			fields[key] = carried(present[key], was, value)
		}
	}
	return fields
}
