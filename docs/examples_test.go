/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package docs

import (
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	eventingv1 "knative.dev/eventing/pkg/apis/eventing/v1"
	"knative.dev/pkg/apis"
	"sigs.k8s.io/yaml"

	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

var yamlBlock = regexp.MustCompile("(?ms)^( *)```yaml\n(.*?)^ *```$")

// TestEveryExampleIsAdmitted applies the YAML of every document as the webhook
// does. A part that begins with logger: is applied within an InferenceService.
func TestEveryExampleIsAdmitted(t *testing.T) {
	applied := 0
	for path, content := range read(t, ".md") {
		for _, found := range yamlBlock.FindAllStringSubmatch(content, -1) {
			indent, example := found[1], found[2]
			example = strings.TrimPrefix(strings.ReplaceAll("\n"+example, "\n"+indent, "\n"), "\n")
			if err := admit(t, example); err != nil {
				t.Errorf("%s: %v:\n%s", path, err, example)
			}
			applied++
		}
	}
	if applied < 10 {
		t.Errorf("only %d examples were found", applied)
	}
}

// validated is what the webhook needs of an object.
type validated interface {
	apis.Defaultable
	apis.Validatable
}

func admit(t *testing.T, example string) error {
	t.Helper()
	var object validated
	switch {
	case strings.HasPrefix(example, "logger:"):
		example = "apiVersion: serving.kubeflow.org/v1beta1\nkind: InferenceService\nmetadata: {name: my-model}\n" +
			"spec:\n  predictor:\n    containers: [{image: registry.example.com/my-model}]\n" +
			"    " + strings.TrimSpace(strings.ReplaceAll(example, "\n", "\n    ")) + "\n"
		object = &v1beta1.InferenceService{}
	case strings.Contains(example, "kind: InferenceService\n"):
		object = &v1beta1.InferenceService{}
	case strings.Contains(example, "kind: LoggerBinding\n"):
		object = &v1alpha1.LoggerBinding{}
	case strings.Contains(example, "kind: Trigger\n"):
		object = &eventingv1.Trigger{}
	case strings.Contains(example, "kind: Broker\n"):
		// Its class comes from a ConfigMap of Eventing's.
		return yaml.UnmarshalStrict([]byte(example), &eventingv1.Broker{})
	default:
		configMap := &corev1.ConfigMap{}
		if err := yaml.UnmarshalStrict([]byte(example), configMap); err != nil {
			return err
		}
		_, err := config.NewObservabilityFromConfigMap(configMap)
		return err
	}
	if err := yaml.UnmarshalStrict([]byte(example), object); err != nil {
		return err
	}
	ctx := apis.WithinCreate(t.Context())
	object.SetDefaults(ctx)
	if err := object.Validate(ctx).Filter(apis.ErrorLevel); err != nil {
		return err
	}
	return nil
}
