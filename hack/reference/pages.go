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
	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

func writeEvents(out *bytes.Buffer) error {
	fmt.Fprintf(out, `# Event types and attributes

The [event contract](../event-contract.md) has the rules behind these tables.

## Types

Each type begins with %s. Sent says whether events of the type are sent if %s is unset. The [profile kserve](../event-contract.md#profile-kserve) has KServe's types for a request and a response, and sends only these by default.

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

Beside these, each event has ` + "`specversion` (`1.0`), its `type`" + ` and, except for ledger events, one attribute for each annotation, label, header and fixed value that the owner [selected](../metadata.md).

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

` + "`Ready` derives from `PredictorReady`, `TransformerReady` and `ExplainerReady` alone, because serving never depends on logging. All others but `RouteReady` exist only with a `logger`. With loggers of several components, a condition is true if it is true for each of them; the message names the component otherwise" + `.

`)
	return writeConditionsOf(out, "pkg/apis/serving/v1beta1", v1beta1.DescribeReasons())
}

// writeConditionsOf writes a table of the conditions in a folder.
func writeConditionsOf(out *bytes.Buffer, folder string, described []v1beta1.ReasonDescription) error {
	conditions, err := constants(folder, "apis.ConditionType")
	if err != nil {
		return err
	}
	rows := table{{"condition", "true if", "reasons if it is not true"}}
	for _, condition := range conditions {
		var reasons []string
		for _, reason := range described {
			if string(reason.Condition) == condition.value {
				reasons = append(reasons, code(reason.Reason)+": "+reason.Meaning)
			}
		}
		text := strings.Join(reasons, ".<br>") + "."
		if strings.HasSuffix(condition.value, "Ready") && slices.ContainsFunc(v1beta1.ComponentTypes(), func(component v1beta1.ComponentType) bool {
			return string(component.ReadyCondition()) == condition.value
		}) {
			text += "<br>All others are Knative's own."
		}
		rows = append(rows, []string{code(condition.value), condition.meaning, text})
	}
	rows.write(out)
	return nil
}

func writeLoggerBinding(out *bytes.Buffer) error {
	out.WriteString(`# LoggerBinding

` + "`kubectl explain loggerbinding.spec` shows the same fields. `spec.logger` has the fields of [an InferenceService's logger](fields.md)." + `

`)
	if err := writeFieldsOf(out, "config/300-loggerbinding.yaml", "spec.logger"); err != nil {
		return err
	}
	out.WriteString("\n## Conditions\n\n`Ready` derives from `SinkResolved` and `SubjectsBound`.\n\n")
	const folder = "pkg/apis/bindings/v1alpha1"
	if err := writeConditionsOf(out, folder, v1alpha1.DescribeReasons()); err != nil {
		return err
	}
	for _, section := range []struct{ heading, of, column string }{
		{"States of a subject", "SubjectState", "state"}, {"Reasons of a subject", "SubjectReason", "reason"},
	} {
		found, err := constants(folder, section.of)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "\n## %s\n\n", section.heading)
		rows := table{{section.column, "meaning"}}
		for _, constant := range found {
			rows = append(rows, []string{code(constant.value), constant.meaning})
		}
		rows.write(out)
	}
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
	return writeFieldsOf(out, "config/300-inferenceservice.yaml", "")
}

// writeFieldsOf writes a table of the fields of a definition, and leaves out
// those within a path.
func writeFieldsOf(out *bytes.Buffer, file, without string) error {
	content, err := os.ReadFile(file)
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
			if at == without || at == "spec.transformer" || at == "spec.explainer" {
				// Its fields are described elsewhere.
				continue
			}
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
