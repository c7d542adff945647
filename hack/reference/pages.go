/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agent/metrics"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

func writeEvents(out *bytes.Buffer) error {
	fmt.Fprintf(out, `# Event types and attributes

The [event contract](../event-contract.md) has the rules behind these tables.

## Types

Each type begins with %s. Sent says whether events of the type are sent if %s is unset.

`, code(event.TypePrefix), code("logger.events"))
	rows := table{{"type", "sent by default", "when", "data"}}
	for _, kind := range event.DescribeKinds() {
		sent := "no"
		if slices.Contains(agentconfig.DefaultKinds(), kind.Kind) {
			sent = "yes"
		}
		rows = append(rows, []string{code(string(kind.Kind)), sent, kind.When, kind.Data})
	}
	rows.write(out)
	out.WriteString(`
## Attributes

Beside these, each event has ` + "`specversion` (`1.0`), its `type`" + ` and, except for ledger events, one attribute for each annotation that the owner selected.

`)
	rows = table{{"attribute", "on", "value"}}
	for _, attribute := range event.DescribeAttributes() {
		rows = append(rows, []string{code(attribute.Name), attribute.On, attribute.Value})
	}
	rows.write(out)
	return nil
}

func writeMetrics(out *bytes.Buffer) error {
	out.WriteString(`# Metrics of the agent

[Metrics and traces](../metrics.md) says how they are exported. A label without values has the names of sinks, or depends on the agent.

`)
	rows := table{{"OpenTelemetry", "Prometheus", "unit", "labels", "meaning", "alert"}}
	for _, metric := range metrics.All() {
		var labels []string
		for _, label := range metric.Labels {
			text := code(label.Name)
			if len(label.Values) > 0 {
				text += ": " + code(strings.Join(label.Values, "`, `"))
			}
			labels = append(labels, text)
		}
		name, unit := code(metric.Name), ""
		if strings.HasPrefix(metric.Name, "(") {
			name = metric.Name
		}
		if metric.Unit != "" {
			unit = code(metric.Unit)
		}
		rows = append(rows, []string{
			name, code(metric.Prometheus), unit, strings.Join(labels, "; "),
			strings.TrimSpace(metric.Help + " " + metric.Note), metric.Alert,
		})
	}
	rows.write(out)
	return nil
}

func writeConditions(out *bytes.Buffer) error {
	out.WriteString(`# Conditions of an InferenceService

` + "`Ready` derives from `PredictorReady` alone, because serving never depends on logging. All others exist only with a `logger`" + `.

`)
	conditions, err := constants("pkg/apis/serving/v1beta1", "apis.ConditionType")
	if err != nil {
		return err
	}
	rows := table{{"condition", "true if", "reasons if it is not true"}}
	for _, condition := range conditions {
		var reasons []string
		for _, reason := range v1beta1.DescribeReasons() {
			if string(reason.Condition) == condition.value {
				reasons = append(reasons, code(reason.Reason)+": "+reason.Meaning)
			}
		}
		text := strings.Join(reasons, ".<br>") + "."
		if condition.value == string(v1beta1.PredictorReady) {
			text += "<br>All others are Knative's own."
		}
		rows = append(rows, []string{code(condition.value), condition.meaning, text})
	}
	rows.write(out)
	return nil
}

func writeReasons(out *bytes.Buffer) error {
	out.WriteString("# Drops and skips\n\nA drop is a lost event and leaves a gap in `agentsequence`. A skip leaves none.\n")
	for _, section := range []struct{ heading, of string }{
		{"Drop reasons", "Reason"}, {"Skip reasons of exchanges", "SkipReason"},
	} {
		reasons, err := constants("internal/agent/ledger", section.of)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "\n## %s\n\n", section.heading)
		rows := table{{"reason", "meaning"}}
		for _, reason := range reasons {
			rows = append(rows, []string{code(reason.value), reason.meaning})
		}
		rows.write(out)
	}
	return nil
}

// argumentPattern is one argument in the help text of the agent.
var argumentPattern = regexp.MustCompile(`(?m)^  --(\S+?)=(\S+)\n {8}(.+)$`)

func writeArguments(out *bytes.Buffer) error {
	out.WriteString("# Arguments of the agent\n\nThis is the table of `agent --help`. On Kubernetes the controller writes the arguments.\n\n")
	var usage bytes.Buffer
	agentconfig.Usage(&usage)
	found := argumentPattern.FindAllStringSubmatch(usage.String(), -1)
	if len(found) < 20 {
		return fmt.Errorf("the help text has only %d arguments", len(found))
	}
	rows := table{{"argument", "value", "meaning"}}
	for _, argument := range found {
		rows = append(rows, []string{code("--" + argument[1]), code(argument[2]), plain(argument[3])})
	}
	rows.write(out)
	return nil
}

type schema = map[string]any

func writeFields(out *bytes.Buffer) error {
	out.WriteString("# Fields of an InferenceService\n\n`kubectl explain isvc.spec.predictor.logger` shows the same. `spec.predictor` also has the fields of a Pod, as far as Knative Serving supports them.\n\n")
	content, err := os.ReadFile("config/300-inferenceservice.yaml")
	if err != nil {
		return err
	}
	var definition struct {
		Spec struct {
			Versions []struct {
				Schema struct{ OpenAPIV3Schema schema }
			}
		}
	}
	if err := yaml.Unmarshal(content, &definition); err != nil {
		return err
	}
	if len(definition.Spec.Versions) != 1 {
		return errors.New("the definition has more than one version")
	}
	rows := table{{"field", "type", "meaning"}}
	var walk func(path string, at schema)
	walk = func(path string, at schema) {
		properties, _ := at["properties"].(schema)
		for _, name := range slices.Sorted(maps.Keys(properties)) {
			field, at := properties[name].(schema), strings.TrimPrefix(path+"."+name, ".")
			description, _ := field["description"].(string)
			// hack/schema refers to the Pod for the fields that are a Pod's.
			if strings.HasPrefix(description, "See kubectl explain pod.spec.") {
				continue
			}
			kind, _ := field["type"].(string)
			if field["x-kubernetes-int-or-string"] == true {
				kind = "quantity"
			}
			rows = append(rows, []string{code(at), kind, plain(description)})
			walk(at, field)
			for inner, suffix := range map[string]string{"items": "[]", "additionalProperties": "{}"} {
				if element, found := field[inner].(schema); found {
					walk(at+suffix, element)
				}
			}
		}
	}
	whole := definition.Spec.Versions[0].Schema.OpenAPIV3Schema
	for _, part := range []string{"spec", "status"} {
		walk(part, whole["properties"].(schema)[part].(schema))
	}
	rows.write(out)
	return nil
}
