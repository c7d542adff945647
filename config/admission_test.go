/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package config

import (
	"maps"
	"slices"
	"strconv"
	"testing"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/ext"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	policyv1 "k8s.io/api/policy/v1"
)

type fields = map[string]any

// evaluate returns the value of a CEL expression of Kubernetes admission, which
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
	services := []string{"webhook.sidenote.dev"}
	by := func(user string) fields {
		return fields{"operation": "UPDATE", "namespace": "team-a", "userInfo": fields{"username": user}}
	}
	of := func(apiVersion string, controller bool) fields {
		return fields{"metadata": fields{"name": "a", "ownerReferences": []any{
			fields{"apiVersion": apiVersion, "kind": "InferenceService", "name": "m", "controller": controller}}}}
	}
	const user, controller = "system:serviceaccount:kserve:kserve-controller-manager", "system:serviceaccount:sidenote-system:controller"
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
		"a Knative Service":                             {services, by(user), living, true},
		"its status":                                    {services, fields{"operation": "UPDATE", "namespace": "team-a", "subResource": "status", "userInfo": fields{"username": user}}, living, false},
		"a Knative Service that is being deleted":       {services, by(user), deleted, false},
		"a Knative Service, by our controller":          {services, by(controller), living, false},
		"a Knative Service, by nobody":                  {services, fields{"operation": "UPDATE", "userInfo": fields{}}, living, true},
		"a Knative Service of an InferenceService":      {services, by(user), of("serving.kubeflow.org/v1beta1", true), false},
		"one of KServe's":                               {services, by(user), of("serving.kserve.io/v1beta1", true), true},
		"one that an InferenceService doesn't control":  {services, by(user), of("serving.kubeflow.org/v1beta1", false), true},
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

// The API server calls webhooks in the order of the names of their configurations.
func TestKnativeServicesComeAfterServingsDefaulting(t *testing.T) {
	for _, configuration := range of[admissionregistrationv1.MutatingWebhookConfiguration](t, "MutatingWebhookConfiguration") {
		if configuration.Name != "webhook.sidenote.dev" {
			continue
		}
		if configuration.Name <= "webhook.serving.knative.dev" {
			t.Errorf("%s comes before Serving's defaulting", configuration.Name)
		}
		webhook := configuration.Webhooks[0]
		if len(configuration.Webhooks) != 1 || len(webhook.Rules) != 1 || !slices.Equal(webhook.Rules[0].Resources, []string{"services"}) || *webhook.Rules[0].Scope != admissionregistrationv1.NamespacedScope {
			t.Errorf("its rules are %+v", webhook.Rules)
		}
		if *webhook.SideEffects != admissionregistrationv1.SideEffectClassNone || *webhook.ReinvocationPolicy != admissionregistrationv1.IfNeededReinvocationPolicy || *webhook.TimeoutSeconds != 3 {
			t.Errorf("it is %+v", webhook)
		}
		if !maps.Equal(webhook.NamespaceSelector.MatchLabels, map[string]string{"bindings.sidenote.dev/include": "true"}) {
			t.Errorf("it is asked in the namespaces %v", webhook.NamespaceSelector)
		}
		return
	}
	t.Error("no webhook of Knative Services")
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

// policyNamed returns an admission policy, of which a binding says that it denies.
func policyNamed(t *testing.T, name string) (spec admissionregistrationv1.ValidatingAdmissionPolicySpec) {
	t.Helper()
	denies := slices.ContainsFunc(of[admissionregistrationv1.ValidatingAdmissionPolicyBinding](t, "ValidatingAdmissionPolicyBinding"),
		func(binding admissionregistrationv1.ValidatingAdmissionPolicyBinding) bool {
			return binding.Spec.PolicyName == name &&
				slices.Equal(binding.Spec.ValidationActions, []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny})
		})
	for _, policy := range of[admissionregistrationv1.ValidatingAdmissionPolicy](t, "ValidatingAdmissionPolicy") {
		if policy.Name == name && denies {
			return policy.Spec
		}
	}
	t.Fatalf("%s denies nothing", name)
	return spec
}

// The role of the controller permits to delete every Knative Service of the
// cluster.
func TestTheControllerDeletesKnativeServicesOfItsComponentsOnly(t *testing.T) {
	policy := policyNamed(t, "sidenote-controller-services")
	if len(policy.Validations) != 1 || len(policy.MatchConditions) != 1 {
		t.Fatalf("%d validations, %d conditions", len(policy.Validations), len(policy.MatchConditions))
	}
	const controller = "system:serviceaccount:sidenote-system:controller"
	ours := fields{"apiVersion": "serving.kubeflow.org/v1beta1", "kind": "InferenceService", "name": "a", "controller": true}
	for what, test := range map[string]struct {
		user, name string
		owner      fields
		allowed    bool
	}{
		"a transformer":             {controller, "a-transformer-default", ours, true},
		"an explainer":              {controller, "a-explainer-default", ours, true},
		"a predictor":               {controller, "a-predictor-default", ours, false},
		"one of another name":       {controller, "a", ours, false},
		"one without an owner":      {controller, "a-transformer-default", nil, false},
		"KServe's":                  {controller, "a-transformer-default", fields{"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "controller": true}, false},
		"one that isn't owned":      {controller, "a-transformer-default", fields{"apiVersion": "serving.kubeflow.org/v1beta1", "kind": "InferenceService"}, false},
		"one that somebody removes": {"somebody", "a", nil, true},
	} {
		metadata := fields{"name": test.name}
		if test.owner != nil {
			metadata["ownerReferences"] = []any{test.owner}
		}
		present := fields{"metadata": metadata}
		applies, err := evaluate(t, policy.MatchConditions[0].Expression, fields{"userInfo": fields{"username": test.user}}, nil, present)
		if err != nil {
			t.Fatal(err)
		}
		allowed, err := evaluate(t, policy.Validations[0].Expression, nil, nil, present)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if got := !applies || allowed; got != test.allowed {
			t.Errorf("%s: allowed is %v, want %v", what, got, test.allowed)
		}
	}
}

// The role of the controller permits every EventType of the cluster.
func TestTheControllerMakesEventTypesOfKnativeServicesOnly(t *testing.T) {
	policy := policyNamed(t, "sidenote-controller-eventtypes")
	if len(policy.Validations) != 2 || len(policy.MatchConditions) != 1 {
		t.Fatalf("%d validations, %d conditions", len(policy.Validations), len(policy.MatchConditions))
	}
	eventType := func(label string, owner fields) fields {
		metadata := fields{"name": "a"}
		if label != "" {
			metadata["labels"] = fields{label: "a"}
		}
		if owner != nil {
			metadata["ownerReferences"] = []any{owner}
		}
		return fields{"metadata": metadata}
	}
	const label = "eventtypes.sidenote.dev/service"
	owner := fields{"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "a", "controller": true}
	for what, test := range map[string]struct {
		eventType fields
		allowed   bool
	}{
		"of a Knative Service":    {eventType(label, owner), true},
		"without the label":       {eventType("", owner), false},
		"with another label":      {eventType("app", owner), false},
		"without an owner":        {eventType(label, nil), false},
		"of a Kubernetes Service": {eventType(label, fields{"apiVersion": "v1", "kind": "Service", "controller": true}), false},
		"of a Broker":             {eventType(label, fields{"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "controller": true}), false},
	} {
		for _, objects := range [][2]fields{{test.eventType, nil}, {nil, test.eventType}} {
			allowed := true
			for _, validation := range policy.Validations {
				holds, err := evaluate(t, validation.Expression, nil, objects[0], objects[1])
				if err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				allowed = allowed && holds
			}
			if allowed != test.allowed {
				t.Errorf("%s: allowed is %v, want %v", what, allowed, test.allowed)
			}
		}
	}
}

// The role of the controller permits every ConfigMap of the cluster.
func TestTheControllerWritesItsOwnConfigMapsOnly(t *testing.T) {
	policy := policyNamed(t, "sidenote-controller-configmaps")
	if len(policy.Validations) != 2 || len(policy.Variables) != 2 {
		t.Fatalf("%d validations of %d variables", len(policy.Validations), len(policy.Variables))
	}
	const controller = "system:serviceaccount:sidenote-system:controller"
	named := func(name string, labels, owner fields) fields {
		metadata := fields{"name": name}
		if labels != nil {
			metadata["labels"] = labels
		}
		if owner != nil {
			metadata["ownerReferences"] = []any{owner}
		}
		return fields{"metadata": metadata}
	}
	ours := fields{"apiVersion": "serving.kubeflow.org/v1beta1", "kind": "InferenceService", "name": "a", "controller": true}
	notController := fields{"apiVersion": "serving.kubeflow.org/v1beta1", "kind": "InferenceService", "name": "a"}
	theirs := fields{"apiVersion": "apps/v1", "kind": "Deployment", "name": "a", "controller": true}
	bound := fields{"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "a", "controller": true}
	boundNotController := fields{"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "a"}
	shared := fields{"serving.kubeflow.org/component": "trust"}
	own := named("a-predictor-default-metadata", nil, ours)
	for what, test := range map[string]struct {
		user              string
		object, oldObject fields
		allowed           bool
	}{
		"its metadata is made":                          {controller, own, nil, true},
		"its addresses are made":                        {controller, named("a-predictor-default-trust", nil, ours), nil, true},
		"its transformer's metadata is made":            {controller, named("a-transformer-default-metadata", nil, ours), nil, true},
		"its explainer's addresses are changed":         {controller, named("a-explainer-default-trust", nil, ours), named("a-explainer-default-trust", nil, ours), true},
		"its own is changed":                            {controller, own, own, true},
		"its own is removed":                            {controller, nil, own, true},
		"the metadata of a bound Service is made":       {controller, named("a-logger-metadata", nil, bound), nil, true},
		"the addresses of a bound Service are changed":  {controller, named("a-logger-trust", nil, bound), named("a-logger-trust", nil, bound), true},
		"the addresses of a bound Service are removed":  {controller, nil, named("a-logger-trust", nil, bound), true},
		"one of a bound Service has another name":       {controller, named("coredns", nil, bound), nil, false},
		"a Service doesn't control one":                 {controller, nil, named("a-logger-trust", nil, boundNotController), false},
		"one of a bound Service has no owner":           {controller, named("a-logger-trust", nil, nil), nil, false},
		"an InferenceService's has a Service's name":    {controller, named("a-logger-trust", nil, ours), nil, false},
		"a Service's has an InferenceService's name":    {controller, named("a-predictor-default-trust", nil, bound), nil, false},
		"the shared one is made":                        {controller, named("sidenote-trust", shared, nil), nil, true},
		"the shared one is removed":                     {controller, nil, named("sidenote-trust", shared, nil), true},
		"somebody else's is changed":                    {controller, named("coredns", nil, nil), named("coredns", nil, nil), false},
		"somebody else's is taken over":                 {controller, own, named("a-predictor-default-metadata", nil, theirs), false},
		"somebody else's is removed":                    {controller, nil, named("coredns", fields{"x": "y"}, theirs), false},
		"one of another name is made":                   {controller, named("coredns", nil, ours), nil, false},
		"one without an owner is made":                  {controller, named("a-predictor-default-metadata", nil, nil), nil, false},
		"one of another owner is made":                  {controller, named("a-predictor-default-metadata", nil, theirs), nil, false},
		"one that it does not control is removed":       {controller, nil, named("a-predictor-default-metadata", nil, notController), false},
		"a shared one without our label is removed":     {controller, nil, named("sidenote-trust", nil, nil), false},
		"one of another name with our label is made":    {controller, named("coredns", shared, nil), nil, false},
		"one of another name with our label is removed": {controller, nil, named("coredns", shared, nil), false},
		"anybody else may do what RBAC permits":         {"somebody", named("coredns", nil, nil), named("coredns", nil, nil), true},
		"also the service account of another of ours":   {"system:serviceaccount:sidenote-system:webhook", named("coredns", nil, nil), nil, true},
	} {
		applies := true
		for _, condition := range policy.MatchConditions {
			holds, err := evaluate(t, condition.Expression, fields{"userInfo": fields{"username": test.user}}, test.object, test.oldObject)
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
			applies = applies && holds
		}
		allowed := true
		for _, variable := range policy.Variables {
			holds, err := evaluate(t, variable.Expression, nil, test.object, test.oldObject)
			if err != nil {
				t.Errorf("%s: %s: %v", what, variable.Name, err)
			}
			allowed = allowed && holds
		}
		if got := !applies || allowed; got != test.allowed {
			t.Errorf("%s: allowed is %v, want %v", what, got, test.allowed)
		}
	}
	for i, name := range []string{"made", "present"} {
		if policy.Variables[i].Name != name || policy.Validations[i].Expression != "variables."+name {
			t.Errorf("%s is not what is validated: %s", policy.Variables[i].Name, policy.Validations[i].Expression)
		}
	}
}

// client-go asks 5 times a second by default.
func TestTheControllerHasRoomForEveryInferenceService(t *testing.T) {
	for _, deployment := range of[appsv1.Deployment](t, "Deployment") {
		if deployment.Name != "controller" {
			continue
		}
		set := make(map[string]string)
		for _, variable := range deployment.Spec.Template.Spec.Containers[0].Env {
			set[variable.Name] = variable.Value
		}
		for _, name := range []string{"KUBE_API_QPS", "KUBE_API_BURST"} {
			if number, err := strconv.Atoi(set[name]); err != nil || number < 50 {
				t.Errorf("%s is %q", name, set[name])
			}
		}
	}
}
