/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package webhook

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestADifferenceIsCarriedOver(t *testing.T) {
	for what, test := range map[string]struct{ written, before, after, want string }{
		"nothing":                        {`{"a": 1, "new": 2}`, `{"a": 1}`, `{"a": 1}`, `{"a": 1, "new": 2}`},
		"nothing, written otherwise":     {`{"cpu": "1000m"}`, `{"cpu": "1", "none": {}}`, `{"cpu": "1", "none": {}}`, `{"cpu": "1000m"}`},
		"a field, beside others":         {`{"a": 1, "new": 2}`, `{"a": 1}`, `{"a": 3}`, `{"a": 3, "new": 2}`},
		"a field that goes":              {`{"a": 1, "new": 2}`, `{"a": 1}`, `{}`, `{"new": 2}`},
		"a field that was never written": {`{"new": 2}`, `{"a": {}}`, `{}`, `{"new": 2}`},
		"a field in what is not written": {`{"new": 2}`, `{"a": {"x": 0}}`, `{"a": {"x": 0, "b": 1}}`, `{"new": 2, "a": {"b": 1}}`},
		"nothing written":                {`null`, `{"a": {}}`, `{"a": {"b": 1}}`, `{"a": {"b": 1}}`},
		"an item more":                   {`[{"name": "m", "new": 1}]`, `[{"name": "m"}]`, `[{"name": "m"}, {"name": "agent"}]`, `[{"name": "m", "new": 1}, {"name": "agent"}]`},
		"an item less":                   {`[{"name": "m", "new": 1}, {"name": "agent"}]`, `[{"name": "m"}, {"name": "agent"}]`, `[{"name": "m"}]`, `[{"name": "m", "new": 1}]`},
		"an item of another name":        {`[{"name": "m", "new": 1}]`, `[{"name": "m"}]`, `[{"name": "n"}]`, `[{"name": "n"}]`},
		"an item that changes":           {`[{"name": "m", "new": 1, "a": 1}]`, `[{"name": "m", "a": 1}]`, `[{"name": "m", "a": 2}]`, `[{"name": "m", "new": 1, "a": 2}]`},
		"a list of another length":       {`[1, 2]`, `[1]`, `[3]`, `[3]`},
		"a list that is shorter":         {`[]`, `[1]`, `[3]`, `[3]`},
		"another type":                   {`{"a": "x"}`, `{"a": 1}`, `{"a": [1]}`, `{"a": [1]}`},
	} {
		got := carried(parsed(t, test.written), parsed(t, test.before), parsed(t, test.after))
		if diff := cmp.Diff(parsed(t, test.want), got); diff != "" {
			t.Errorf("%s (-want, +got): %s", what, diff)
		}
	}
}

func parsed(t *testing.T, text string) (value any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	return value
}
