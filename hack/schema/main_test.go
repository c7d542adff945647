/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const (
	installed = "../../config/300-inferenceservice.yaml"
	binding   = "../../config/300-loggerbinding.yaml"
)

// The whole object goes as JSON into an annotation of a client-side apply, which
// takes 256 KiB.
const maxBytes = 200_000

type schema = map[string]any

func readInstalled(t *testing.T, file string) (content []byte, whole schema) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var definition struct {
		Metadata struct{ Labels map[string]string }
		Spec     struct {
			Versions []struct {
				Subresources map[string]any
				Schema       struct{ OpenAPIV3Schema schema }
			}
		}
	}
	if err := yaml.Unmarshal(content, &definition); err != nil {
		t.Fatal(err)
	}
	if got := definition.Metadata.Labels["knative.dev/crd-install"]; got != "true" {
		t.Errorf("the label knative.dev/crd-install is %q", got)
	}
	if len(definition.Spec.Versions) != 1 || definition.Spec.Versions[0].Subresources["status"] == nil {
		t.Fatalf("versions: %+v", definition.Spec.Versions)
	}
	return content, definition.Spec.Versions[0].Schema.OpenAPIV3Schema
}

// at walks down properties.
func at(t *testing.T, from schema, path ...string) schema {
	t.Helper()
	for _, name := range path {
		properties, _ := from["properties"].(schema)
		next, found := properties[name].(schema)
		if !found {
			t.Fatalf("the schema has no %s", name)
		}
		from = next
	}
	return from
}

// walk visits a schema and all within it.
func walk(path string, from schema, visit func(path string, at schema)) {
	visit(path, from)
	if items, found := from["items"].(schema); found {
		walk(path+"[]", items, visit)
	}
	if additional, found := from["additionalProperties"].(schema); found {
		walk(path+"{}", additional, visit)
	}
	properties, _ := from["properties"].(schema)
	for name, field := range properties {
		walk(path+"."+name, field.(schema), visit)
	}
}

func TestTheInstalledDefinitionCanBeApplied(t *testing.T) {
	content, _ := readInstalled(t, installed)
	applied, err := yaml.YAMLToJSON(content)
	if err != nil {
		t.Fatal(err)
	}
	if len(applied) > maxBytes {
		t.Errorf("it has %d bytes, more than %d", len(applied), maxBytes)
	}
}

func TestTheInstalledSchemaLeavesToTheWebhookWhatItSaysBetter(t *testing.T) {
	_, whole := readInstalled(t, installed)
	spec := at(t, whole, "spec")
	predictor := at(t, spec, "predictor")
	for path, kept := range map[string]schema{
		"spec": spec, "predictor": predictor, "logger": at(t, predictor, "logger"),
		"transformer": at(t, spec, "transformer"), "explainer": at(t, spec, "explainer"),
	} {
		if kept["x-kubernetes-preserve-unknown-fields"] != true {
			t.Errorf("%s prunes unknown fields, so that nobody can name them", path)
		}
		if _, found := kept["required"]; found && path != "logger" {
			t.Errorf("%s has required fields: %v", path, kept["required"])
		}
	}
	walk("logger", at(t, predictor, "logger"), func(path string, at schema) {
		if _, hasFields := at["properties"]; hasFields && at["x-kubernetes-preserve-unknown-fields"] != true {
			t.Errorf("%s prunes unknown fields, so that nobody can name them", path)
		}
	})
	for _, list := range []string{"containers", "initContainers", "volumes", "imagePullSecrets"} {
		items, _ := at(t, predictor, list)["items"].(schema)
		required, _ := items["required"].([]any)
		if slices.Contains(required, any("name")) {
			t.Errorf("%s[] require a name, which the webhook gives", list)
		}
	}
	visited := 0
	walk("spec", spec, func(path string, at schema) {
		visited++
		if at["x-kubernetes-list-map-keys"] != nil || at["x-kubernetes-list-type"] == "map" {
			t.Errorf("%s is merged by keys, which an element may lack", path)
		}
		if at["default"] != nil {
			t.Errorf("%s has the default %v, which is Knative Serving's to set", path, at["default"])
		}
	})
	if visited < 500 {
		t.Errorf("walked over %d fields only: is this the predictor's Pod?", visited)
	}
}

// TestEveryFieldOfOursHasADescription: kubectl explain shows it. Fields of the
// inlined Pod refer to the Pod's own description instead.
func TestEveryFieldOfOursHasADescription(t *testing.T) {
	_, whole := readInstalled(t, installed)
	predictor := at(t, whole, "spec", "predictor")
	ours := 0
	for name, field := range predictor["properties"].(schema) {
		if !podFields()[name] {
			ours++
			continue
		}
		description, _ := field.(schema)["description"].(string)
		if !strings.Contains(description, "pod.spec."+name) {
			t.Errorf("predictor.%s doesn't refer to the Pod's field: %q", name, description)
		}
		walk(name, field.(schema), func(path string, at schema) {
			if path != name && at["description"] != nil {
				t.Errorf("predictor.%s has a description, and the definition has no room for those of a Pod", path)
			}
		})
	}
	if ours < 7 {
		t.Errorf("the predictor has only %d fields of its own", ours)
	}
	walk("", whole, func(path string, at schema) {
		// Elements of lists and maps are described by their list or map, and the
		// API server describes metadata.
		if strings.HasSuffix(path, "[]") || strings.HasSuffix(path, "{}") || path == ".metadata" {
			return
		}
		for _, component := range components {
			rest, isWithin := strings.CutPrefix(path, ".spec."+component+".")
			if name, _, _ := strings.Cut(strings.NewReplacer("[]", ".", "{}", ".").Replace(rest), "."); isWithin && podFields()[name] {
				return
			}
		}
		if description, _ := at["description"].(string); description == "" {
			t.Errorf("%s has no description", path)
		}
	})
}

const generated = `---
metadata: {name: inferenceservices.serving.kubeflow.org}
spec:
  versions:
  - name: v1beta1
    schema:
      openAPIV3Schema:
        properties:
          spec:
            required: [predictor]
            properties:
              predictor:
                required: [containers]
                properties:
                  containers:
                    type: array
                    x-kubernetes-list-type: map
                    x-kubernetes-list-map-keys: [name]
                    items:
                      required: [name]
                      properties:
                        protocol: {type: string, default: TCP}
                        env: {description: Long., additionalProperties: {default: x, type: string, description: Longer.}}
                  logger:
                    description: "Ours,\nin two lines."
                    properties:
                      metadata: {x-kubernetes-list-type: atomic, items: {required: [attribute], properties: {attribute: {type: string}}}}
`

// withForeignFields adds the fields of foreign types to a definition, with
// descriptions of their own.
func withForeignFields(t *testing.T, definition string, texts map[string]string) string {
	t.Helper()
	var parsed schema
	if err := yaml.Unmarshal([]byte(strings.TrimPrefix(definition, "---\n")), &parsed); err != nil {
		t.Fatal(err)
	}
	version := parsed["spec"].(schema)["versions"].([]any)[0].(schema)
	for path := range texts {
		field := version["schema"].(schema)["openAPIV3Schema"].(schema)
		for name := range strings.SplitSeq(path, ".") {
			name, isList := strings.CutSuffix(name, "[]")
			if field["properties"] == nil {
				field["properties"] = schema{}
			}
			properties := field["properties"].(schema)
			if properties[name] == nil {
				properties[name] = schema{}
			}
			field = properties[name].(schema)
			if isList {
				if field["items"] == nil {
					field["items"] = schema{}
				}
				field = field["items"].(schema)
			}
		}
		field["description"] = "Eventing's own."
	}
	written, err := yaml.Marshal(parsed)
	if err != nil {
		t.Fatal(err)
	}
	return string(written)
}

func TestRelease(t *testing.T) {
	var out strings.Builder
	if err := run(strings.NewReader(withForeignFields(t, generated, ofInferenceService())), &out); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), header) {
		t.Errorf("it begins %.80q", out.String())
	}
	for _, gone := range []string{"list-map-keys", "default:", "- name\n", "- containers\n", "- predictor\n", "Longer", "Eventing's"} {
		if strings.Contains(out.String(), gone) {
			t.Errorf("%q stays:\n%s", gone, out.String())
		}
	}
	for _, kept := range []string{"x-kubernetes-list-type: atomic", "- attribute\n", `duck.knative.dev/addressable: "true"`, "type: string", "description: Ours, in two lines.", "See kubectl explain pod.spec.containers"} {
		if !strings.Contains(out.String(), kept) {
			t.Errorf("%q is gone:\n%s", kept, out.String())
		}
	}
}

const generatedBinding = `---
metadata: {name: loggerbindings.bindings.sidenote.dev}
spec:
  versions:
  - name: v1alpha1
    schema:
      openAPIV3Schema:
        properties:
          spec:
            required: [subject, logger]
            properties:
              rollout: {type: string, default: Now}
              subject:
                properties:
                  name: {type: string, description: Knative's own.}
                  selector: {properties: {matchLabels: {type: object}}}
              logger:
                properties:
                  mode: {type: string, default: all}
`

func TestReleaseOfALoggerBinding(t *testing.T) {
	var out strings.Builder
	if err := run(strings.NewReader(withForeignFields(t, generatedBinding, ofLoggerBinding())), &out); err != nil {
		t.Fatal(err)
	}
	for _, gone := range []string{"default:", "- subject\n", "own.", "addressable: "} {
		if strings.Contains(out.String(), gone) {
			t.Errorf("%q stays:\n%s", gone, out.String())
		}
	}
	for _, kept := range []string{"Name of a Knative Service.", "Namespace of the LoggerBinding.", `knative.dev/crd-install: "true"`} {
		if !strings.Contains(out.String(), kept) {
			t.Errorf("%q is gone:\n%s", kept, out.String())
		}
	}
}

func TestTheInstalledLoggerBinding(t *testing.T) {
	content, whole := readInstalled(t, binding)
	if len(content) > maxBytes {
		t.Errorf("it has %d bytes, more than %d", len(content), maxBytes)
	}
	spec := at(t, whole, "spec")
	if spec["required"] != nil {
		t.Errorf("spec has required fields: %v", spec["required"])
	}
	walk("spec", spec, func(path string, at schema) {
		if _, hasFields := at["properties"]; hasFields && at["x-kubernetes-preserve-unknown-fields"] != true {
			t.Errorf("%s prunes unknown fields, so that nobody can name them", path)
		}
	})
	walk("", whole, func(path string, at schema) {
		description, _ := at["description"].(string)
		if description == "" && !strings.HasSuffix(path, "[]") && !strings.HasSuffix(path, "{}") && path != ".metadata" {
			t.Errorf("%s has no description", path)
		}
	})
	// One type, one documentation.
	_, other := readInstalled(t, installed)
	ours, theirs := make(map[string]string), make(map[string]string)
	for into, logger := range map[*map[string]string]schema{&ours: at(t, spec, "logger"), &theirs: at(t, other, "spec", "predictor", "logger")} {
		walk("logger", logger, func(path string, at schema) {
			if path != "logger" && !strings.HasSuffix(path, "ref.namespace") {
				(*into)[path], _ = at["description"].(string)
			}
		})
	}
	if !maps.Equal(ours, theirs) {
		t.Errorf("the loggers of the kinds differ: %v and %v", ours, theirs)
	}
}

func TestInvalidDefinitionIsAnError(t *testing.T) {
	for input, want := range map[string]string{
		"":           "did controller-gen fail?",
		"\tno: yaml": "not YAML",
		"metadata: {}\nspec: {versions: [{schema: {openAPIV3Schema: {properties: {}}}}]}":                       `no property "spec"`,
		"metadata: {}\nspec: {versions: [{schema: {openAPIV3Schema: {properties: {spec: {properties: {}}}}}}]}": `no property "predictor"`,
	} {
		err := run(strings.NewReader(input), &strings.Builder{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want an error that says %q", input, err, want)
		}
	}
}
