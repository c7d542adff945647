/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package webhook

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"knative.dev/pkg/apis"
	"sigs.k8s.io/yaml"
)

func object(t *testing.T, manifest string) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(manifest), &object.Object); err != nil {
		t.Fatal(err)
	}
	return object
}

func TestDefaultsAreSetAndNothingElseChanges(t *testing.T) {
	const kind = "apiVersion: serving.kubeflow.org/v1beta1\nkind: InferenceService\n"
	const binding = "apiVersion: bindings.sidenote.dev/v1alpha1\nkind: LoggerBinding\n"
	const complete = kind + `
metadata: {name: my-model, annotations: {team: ai-platform}, finalizers: [], creationTimestamp: null}
surprise: [1, 2.50, {deep: null}]
spec:
  transformer: {containers: []}
  predictor:
    sklearn: {storageUri: "gs://a", resources: {limits: {cpu: 1000m}}}
    affinity: {}
    volumes: []
    containers:
    - name: model
      image: m
      unheardOf: {of: 1}
      resources: {limits: {cpu: 1000m, memory: 1024Mi}}
      env: [{name: A, value: ""}]
      ports: [{containerPort: 8080, name: http1}]
    logger: {mode: all, metadataRefresh: Revision, storage: {percent: 5}}
status: {url: "http://x", unheardOf: true}
`
	for what, test := range map[string]struct{ in, want string }{
		"the seed's example": {
			kind + "metadata: {name: m}\nspec: {predictor: {logger: {mode: all, metadataAnnotations: [team]}, containers: [{image: m, ports: [{containerPort: 8080}]}]}}",
			kind + "metadata: {name: m}\nspec: {predictor: {logger: {mode: all, metadataAnnotations: [team], metadataRefresh: Revision}, containers: [{name: kfserving-container, image: m, ports: [{containerPort: 8080}]}]}}",
		},
		"nothing to default": {complete, complete},
		"the container's name, beside what the Go type doesn't have or writes otherwise": {
			kind + "spec: {warp: 9, predictor: {containers: [{image: m, unheardOf: 1, resources: {limits: {cpu: 1000m}}}]}}",
			kind + "spec: {warp: 9, predictor: {containers: [{name: kfserving-container, ports: [{containerPort: 8080}], image: m, unheardOf: 1, resources: {limits: {cpu: 1000m}}}]}}",
		},
		"the second container's name": {
			kind + "spec: {predictor: {containers: [{name: a, image: a, x: 1}, {image: b, z: 2}]}}",
			kind + "spec: {predictor: {containers: [{name: a, image: a, x: 1}, {name: kfserving-container, image: b, z: 2}]}}",
		},
		"a logger's unknown field": {
			kind + "metadata: {namespace: ns}\nspec: {predictor: {containers: [{name: a, ports: [{containerPort: 1}]}], logger: {annotations: [team], sink: {ref: {kind: Broker, name: b, apiVersion: v1, extra: 1}}}}}",
			kind + "metadata: {namespace: ns}\nspec: {predictor: {containers: [{name: a, ports: [{containerPort: 1}]}], logger: {mode: all, metadataRefresh: Revision, annotations: [team], sink: {ref: {kind: Broker, name: b, apiVersion: v1, extra: 1, namespace: ns}}}}}",
		},
		"an empty logger": {
			kind + "spec: {predictor: {containers: [{name: a, ports: [{containerPort: 1}]}], logger: {}}}",
			kind + "spec: {predictor: {containers: [{name: a, ports: [{containerPort: 1}]}], logger: {mode: all, metadataRefresh: Revision}}}",
		},
		"a LoggerBinding": {
			binding + "metadata: {name: b, namespace: ns}\nspec: {surprise: 1, subject: {nmae: x}, logger: {storage: 5, sink: {ref: {kind: Broker, name: b, apiVersion: v1}}}}",
			binding + "metadata: {name: b, namespace: ns}\nspec: {surprise: 1, rollout: OnNextChange, subject: {nmae: x}, logger: {mode: all, metadataRefresh: Revision, storage: 5, sink: {ref: {kind: Broker, name: b, apiVersion: v1, namespace: ns}}}}",
		},
		"a LoggerBinding that says all":    {binding + "spec: {rollout: Now, logger: {mode: request, metadataRefresh: Live}}", binding + "spec: {rollout: Now, logger: {mode: request, metadataRefresh: Live}}"},
		"a LoggerBinding without a logger": {binding + "spec: {rollout: Now}", binding + "spec: {rollout: Now}"},
		"no container":                     {kind + "spec: {predictor: {sklearn: {}}}", kind + "spec: {predictor: {sklearn: {}}}"},
		"no predictor":                     {kind + "spec: {}", kind + "spec: {}"},
		"no spec":                          {kind, kind},
		"a null logger":                    {kind + "spec: {predictor: {logger: null, containers: null}}", kind + "spec: {predictor: {logger: null, containers: null}}"},
		"containers that are no list, for the schema to refuse":        {kind + "spec: {predictor: {containers: {image: m}}}", kind + "spec: {predictor: {containers: {image: m}}}"},
		"a number that is none, for the schema to refuse":              {kind + "spec: {predictor: {minReplicas: one, containers: [{image: m}]}}", kind + "spec: {predictor: {minReplicas: one, containers: [{image: m}]}}"},
		"a spec that is no object, for the schema to refuse":           {kind + "spec: [predictor]", kind + "spec: [predictor]"},
		"an object that is being deleted":                              {kind + "metadata: {deletionTimestamp: '2026-01-01T00:00:00Z'}\nspec: {predictor: {containers: [{image: m}]}}", kind + "metadata: {deletionTimestamp: '2026-01-01T00:00:00Z'}\nspec: {predictor: {containers: [{image: m}]}}"},
		"numbers over what a float holds, and a text that is a number": {kind + "spec: {warp: 9007199254740993, predictor: {containerConcurrency: 9007199254740993, serviceAccountName: '1', containers: [{name: a, ports: [{containerPort: 1}]}], logger: {}}}", kind + "spec: {warp: 9007199254740993, predictor: {containerConcurrency: 9007199254740993, serviceAccountName: '1', containers: [{name: a, ports: [{containerPort: 1}]}], logger: {mode: all, metadataRefresh: Revision}}}"},
	} {
		t.Run(what, func(t *testing.T) {
			got := object(t, test.in)
			ctx := apis.WithinCreate(t.Context())
			if err := setDefaults(ctx, got); err != nil {
				t.Fatal(err)
			}
			// As JSON, for a decoder makes integers where another makes floats.
			if diff := cmp.Diff(written(t, object(t, test.want)), written(t, got)); diff != "" {
				t.Errorf("(-want, +got): %s", diff)
			}
			once := got.DeepCopy()
			if err := setDefaults(ctx, got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(written(t, once), written(t, got)); diff != "" {
				t.Errorf("not idempotent (-once, +twice): %s", diff)
			}
		})
	}
}

func written(t *testing.T, object *unstructured.Unstructured) string {
	t.Helper()
	data, err := yaml.Marshal(object.Object)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestAStatusUpdateIsNotDefaulted(t *testing.T) {
	const manifest = "apiVersion: serving.kubeflow.org/v1beta1\nkind: InferenceService\nspec: {predictor: {logger: {}, containers: [{image: m}]}}"
	for what, ctx := range map[string]context.Context{
		"of the status": apis.WithinSubResourceUpdate(t.Context(), object(t, manifest), "status"),
	} {
		got := object(t, manifest)
		if err := setDefaults(ctx, got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(object(t, manifest).Object, got.Object); diff != "" {
			t.Errorf("an update %s (-want, +got): %s", what, diff)
		}
	}
}
