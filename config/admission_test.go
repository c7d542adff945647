/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package config

import (
	"maps"
	"testing"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/ext"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	policyv1 "k8s.io/api/policy/v1"
)

type fields = map[string]any

// evaluate gives the value of a CEL expression of Kubernetes admission, which
// decides on a request and its objects. A request has no field that is empty.
func evaluate(t *testing.T, expression string, request, object, oldObject fields) (holds bool, err error) {
	t.Helper()
	environment, err := cel.NewEnv(ext.Strings(),
		cel.Variable("request", cel.DynType), cel.Variable("object", cel.DynType), cel.Variable("oldObject", cel.DynType))
	if err != nil {
		t.Fatal(err)
	}
	ast, issues := environment.Compile(expression)
	if issues.Err() != nil {
		t.Fatalf("%s: %v", expression, issues.Err())
	}
	program, err := environment.Program(ast)
	if err != nil {
		t.Fatal(err)
	}
	orNull := func(object fields) any {
		if object == nil {
			return nil
		}
		return object
	}
	value, _, err := program.Eval(fields{"request": request, "object": orNull(object), "oldObject": orNull(oldObject)})
	if err != nil {
		return false, err
	}
	return value.Value() == true, nil
}

func TestTheWebhookIsAskedOnlyWhereItActs(t *testing.T) {
	living := fields{"metadata": fields{"name": "a"}}
	deleted := fields{"metadata": fields{"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z"}}
	conditions := make(map[string][]admissionregistrationv1.MatchCondition)
	for _, configuration := range of[admissionregistrationv1.MutatingWebhookConfiguration](t, "MutatingWebhookConfiguration") {
		for _, webhook := range configuration.Webhooks {
			conditions[webhook.Name] = webhook.MatchConditions
		}
	}
	for _, configuration := range of[admissionregistrationv1.ValidatingWebhookConfiguration](t, "ValidatingWebhookConfiguration") {
		for _, webhook := range configuration.Webhooks {
			conditions[webhook.Name] = webhook.MatchConditions
		}
	}
	inferenceServices := []string{"webhook.serving.kubeflow.org", "validation.webhook.serving.kubeflow.org"}
	configMaps := []string{"config.webhook.serving.kubeflow.org"}
	for what, test := range map[string]struct {
		webhooks        []string
		request, object fields
		asked           bool
	}{
		"a new InferenceService":                        {inferenceServices, fields{"operation": "CREATE", "namespace": "models"}, living, true},
		"a changed InferenceService":                    {inferenceServices, fields{"operation": "UPDATE", "namespace": "models", "subResource": ""}, living, true},
		"a status":                                      {inferenceServices, fields{"operation": "UPDATE", "namespace": "models", "subResource": "status"}, living, false},
		"a finalizer that goes":                         {inferenceServices, fields{"operation": "UPDATE", "namespace": "models"}, deleted, false},
		"a ConfigMap of ours":                           {configMaps, fields{"operation": "UPDATE", "namespace": "sidenote-system"}, living, true},
		"a ConfigMap with our labels, and not of ours":  {configMaps, fields{"operation": "UPDATE", "namespace": "models"}, living, false},
		"a ConfigMap of ours that is being deleted":     {configMaps, fields{"operation": "UPDATE", "namespace": "sidenote-system"}, deleted, false},
		"a request of no namespace, for whatever cause": {configMaps, fields{"operation": "UPDATE"}, living, false},
	} {
		for _, name := range test.webhooks {
			asked := true
			if len(conditions[name]) == 0 {
				t.Errorf("%s has no condition", name)
			}
			for _, condition := range conditions[name] {
				holds, err := evaluate(t, condition.Expression, test.request, test.object, nil)
				if err != nil {
					t.Errorf("%s: %s of %s fails, and so refuses the request: %v", what, condition.Name, name, err)
				}
				asked = asked && holds
			}
			if asked != test.asked {
				t.Errorf("%s: %s is asked: %v, want %v", what, name, asked, test.asked)
			}
		}
	}
}

// With one replica a drained node refuses every InferenceService.
func TestTheWebhookOutlivesItsNode(t *testing.T) {
	var webhook *appsv1.Deployment
	for _, deployment := range of[appsv1.Deployment](t, "Deployment") {
		if deployment.Name == "webhook" {
			webhook = &deployment
		}
	}
	if webhook == nil {
		t.Fatal("no webhook")
	}
	if webhook.Spec.Replicas == nil || *webhook.Spec.Replicas < 2 {
		t.Errorf("it has %v replicas, want two", webhook.Spec.Replicas)
	}
	labels := webhook.Spec.Template.Labels
	spread := make(map[string]bool)
	for _, constraint := range webhook.Spec.Template.Spec.TopologySpreadConstraints {
		spread[constraint.TopologyKey] = true
		if constraint.WhenUnsatisfiable != "ScheduleAnyway" {
			t.Errorf("a cluster of one node can't run %s", constraint.TopologyKey)
		}
		if !selects(constraint.LabelSelector.MatchLabels, labels) {
			t.Errorf("the spread over %s counts other pods: %v", constraint.TopologyKey, constraint.LabelSelector.MatchLabels)
		}
	}
	if !spread["kubernetes.io/hostname"] {
		t.Errorf("both replicas may be on one of several nodes: %v", spread)
	}
	budgets := 0
	for _, budget := range of[policyv1.PodDisruptionBudget](t, "PodDisruptionBudget") {
		if budget.Namespace == webhook.Namespace && selects(budget.Spec.Selector.MatchLabels, labels) {
			budgets++
			if budget.Spec.MinAvailable == nil || budget.Spec.MinAvailable.IntValue() != 1 {
				t.Errorf("a drain must leave one of two: minAvailable is %v", budget.Spec.MinAvailable)
			}
		}
	}
	if budgets != 1 {
		t.Errorf("%d PodDisruptionBudgets, want one", budgets)
	}
}

func selects(selector, labels map[string]string) bool {
	if len(selector) == 0 {
		return false
	}
	all := maps.Clone(labels)
	maps.Copy(all, selector)
	return maps.Equal(all, labels)
}
