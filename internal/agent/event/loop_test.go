/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestEventsOfKServesTypes: a model may subscribe to those of another one. Its own
// are a loop, and so are those that went through too many models.
func TestEventsOfKServesTypes(t *testing.T) {
	const request = "org.kubeflow.serving.inference.request"
	iris := Identity{Source: "iris-predictor", InferenceService: "iris", Namespace: "team-a"}
	for _, test := range []struct {
		name                                  string
		of                                    Identity
		eventType, service, namespace, source string
		hops                                  string
		want                                  Carried
	}{
		{"another model's", iris, request, "wine", "team-a", "wine-predictor", "", Carried{Hops: 1}},
		{"the same name in another namespace", iris, request, "iris", "team-b", "iris-predictor", "", Carried{Hops: 1}},
		{"of KServe's own logger", iris, request, "wine", "team-a", "wine-predictor-00001-abc", "", Carried{Hops: 1}},
		{"the model's own", iris, request, "iris", "team-a", "iris-predictor", "", Carried{Sign: LoopService}},
		{"its own response", iris, "org.kubeflow.serving.inference.response", "iris", "team-a", "iris-predictor", "", Carried{Sign: LoopService}},
		{"of its own transformer", iris, request, "iris", "team-a", "iris-transformer", "", Carried{Sign: LoopService}},
		{"what a detector made of its own", iris, "org.kubeflow.serving.inference.outlier", "iris", "team-a", "detector", "", Carried{Sign: LoopService}},
		{"after one hop", iris, request, "wine", "team-a", "s", "1", Carried{Hops: 2}},
		{"after two hops", iris, request, "wine", "team-a", "s", "2", Carried{Sign: LoopHops}},
		{"after many hops", iris, request, "wine", "team-a", "s", "255", Carried{Sign: LoopHops}},
		{"of hops that are none", iris, request, "wine", "team-a", "s", "-3x", Carried{Hops: 1}},
		{"of another type", iris, "com.example.other", "iris", "team-a", "iris-predictor", "9", Carried{}},
		{"without names, another source", Identity{Source: "s"}, request, "", "", "r", "", Carried{Hops: 1}},
		{"without names, the same source", Identity{Source: "s"}, request, "", "", "s", "", Carried{Sign: LoopService}},
	} {
		header := http.Header{}
		var members []string
		for name, value := range map[string]string{
			"type": test.eventType, "inferenceservicename": test.service, "namespace": test.namespace, "source": test.source, "agenthops": test.hops,
		} {
			if value == "" {
				continue
			}
			header.Set("Ce-"+name, value)
			if name == "agenthops" && !strings.Contains(value, "x") {
				members = append(members, fmt.Sprintf(`%q:%s`, name, value))
			} else {
				members = append(members, fmt.Sprintf(`%q:%q`, name, value))
			}
		}
		if got := InHeader(header, test.of); got != test.want {
			t.Errorf("%s, in binary mode: %+v, want %+v", test.name, got, test.want)
		}
		text := `{"specversion":"1.0","data":{"type":"x","namespace":"x"},` + strings.Join(members, ",") + `}`
		if got := InBody(whole(text), test.of); got != test.want {
			t.Errorf("%s, in structured mode: %+v, want %+v", test.name, got, test.want)
		}
		other := `{"type":"com.example.other","namespace":"team-a"}`
		for _, batch := range []string{"[" + text + "]", "[" + other + "," + text + "]", "[" + text + "," + other + "]"} {
			if got := InBody(whole(batch), test.of); got != test.want {
				t.Errorf("%s, in a batch: %+v, want %+v", test.name, got, test.want)
			}
		}
	}
}

// TestAnEventThatIsCutOffIsJudgedByItsBeginning: it may be one of another model, whose
// exchange is logged.
func TestAnEventThatIsCutOffIsJudgedByItsBeginning(t *testing.T) {
	iris := Identity{InferenceService: "iris", Namespace: "team-a"}
	cut := func(text string) Body { return Body{Data: []byte(text), Size: 1 << 20} }
	for text, want := range map[string]Carried{
		`{"type":"org.kubeflow.serving.inference.request","data":{`:                                                    {Hops: 1},
		`{"type":"org.kubeflow.serving.inference.request","inferenceservicename":"iris","namespace":"team-a","data":{`: {Sign: LoopService},
		`{"inferenceservicename":"iris","namespace":"team-a","data":{`:                                                 {Sign: LoopUnreadable},
		`[{"type":"org.kubeflow.serving.inference.request"},{`:                                                         {Sign: LoopUnreadable},
		`{"type":"org.kubeflow.serving.inference.request","type":"io.kubeflow.serving.inference.request","data":{`:     {Sign: LoopBody},
		`[{"type":"org.kubeflow.serving.inference.request"},{"type":"io.kubeflow.serving.inference.request"`:           {Sign: LoopBody},
		`[{"type":"io.kubeflow.serving.inference.loop"},{"type":"org.kubeflow.serving.inference.request"}]`:            {Sign: LoopBody, Ends: true},
	} {
		if got := InBody(cut(text), iris); got != want {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
	}
}
