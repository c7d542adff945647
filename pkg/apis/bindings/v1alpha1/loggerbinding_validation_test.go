/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"
	"sigs.k8s.io/yaml"

	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// withSpec reads a binding of the namespace team-a.
func withSpec(t *testing.T, spec string) *v1alpha1.LoggerBinding {
	t.Helper()
	binding := &v1alpha1.LoggerBinding{ObjectMeta: metav1.ObjectMeta{Name: "payloads", Namespace: "team-a"}}
	if err := yaml.Unmarshal([]byte(spec), &binding.Spec); err != nil {
		t.Fatal(err)
	}
	return binding
}

const subject = "subject: {apiVersion: serving.knative.dev/v1, kind: Service, name: iris}\n"

// asCreated validates a new binding as the webhook does: after defaulting.
func asCreated(ctx context.Context, binding *v1alpha1.LoggerBinding) *apis.FieldError {
	ctx = apis.AllowDifferentNamespace(apis.WithinCreate(ctx))
	binding.SetDefaults(ctx)
	return binding.Validate(ctx)
}

func TestValidBindings(t *testing.T) {
	for what, spec := range map[string]string{
		"by name":         subject + "logger: {}",
		"by selector":     "subject: {apiVersion: serving.knative.dev/v1, kind: Service, selector: {matchLabels: {serving.kserve.io/inferenceservice: iris}}}\nlogger: {mode: all, metadataAnnotations: [team, owner]}\nrollout: Now",
		"all":             "subject: {apiVersion: serving.knative.dev/v1, kind: Service, selector: {}}\nlogger: {}\nrollout: OnNextChange",
		"its namespace":   "subject: {apiVersion: serving.knative.dev/v1, kind: Service, name: iris, namespace: team-a}\nlogger: {}",
		"another service": subject + "logger: {sink: {ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: receiver}}}",
		"same name, other namespace": subject +
			"logger: {sink: {ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: iris, namespace: team-b}}}",
	} {
		t.Run(what, func(t *testing.T) {
			if err := asCreated(t.Context(), withSpec(t, spec)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestInvalidBindings(t *testing.T) {
	const logger = "logger: {}\n"
	ctx := config.ToContext(t.Context(), &config.Config{
		Logger: &config.Logger{DeniedAnnotations: metadata.Denylist{"*secret*"}},
		Agent:  config.FromContextOrDefaults(t.Context()).Agent, Observability: &config.Observability{},
	})
	for what, test := range map[string]struct{ spec, path, remedy string }{
		"no logger":            {subject, "spec.logger", "write {}"},
		"no subject":           {logger, "spec.subject.apiVersion", "write serving.knative.dev/v1"},
		"another version":      {logger + "subject: {apiVersion: serving.knative.dev/v1beta1, kind: Service, name: a}", "spec.subject.apiVersion", "write serving.knative.dev/v1"},
		"another kind":         {logger + "subject: {apiVersion: serving.knative.dev/v1, kind: Deployment, name: a}", "spec.subject.kind", "write Service"},
		"another namespace":    {logger + "subject: {apiVersion: serving.knative.dev/v1, kind: Service, name: a, namespace: b}", "spec.subject.namespace", "remove it"},
		"name and selector":    {logger + "subject: {apiVersion: serving.knative.dev/v1, kind: Service, name: a, selector: {}}", "spec.subject.name", "remove one"},
		"no name, no selector": {logger + "subject: {apiVersion: serving.knative.dev/v1, kind: Service}", "spec.subject.selector", "write the name"},
		"no valid name":        {logger + "subject: {apiVersion: serving.knative.dev/v1, kind: Service, name: A_}", "spec.subject.name", "lower case"},
		"no valid selector":    {logger + "subject: {apiVersion: serving.knative.dev/v1, kind: Service, selector: {matchExpressions: [{key: a, operator: Is}]}}", "spec.subject.selector", "not a valid"},
		"a rollout":            {logger + subject + "rollout: Later", "spec.rollout", "write OnNextChange or Now"},
		"an unknown field":     {logger + subject + "rolout: Now", "spec.rolout", "remove it"},
		"a field's place":      {logger + subject + "sink: {}", "spec.sink", "write it under spec.logger"},
		"a subject's field":    {logger + "subject: {apiVersion: serving.knative.dev/v1, kind: Service, name: a, Selector: {}}", "spec.subject.Selector", "write selector"},

		"the logger's unknown field": {subject + "logger: {annotations: [team]}", "spec.logger.annotations", "write metadataAnnotations"},
		"a mode":                     {subject + "logger: {mode: some}", "spec.logger.mode", "write one of"},
		"a sink by two":              {subject + "logger: {url: 'http://a', sink: {uri: 'http://b'}}", "spec.logger.url", "remove one"},
		"the sink is the subject":    {subject + "logger: {sink: {ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: iris}}}", "spec.logger.sink.ref", "name another sink"},
		"the dead letter sink is the subject": {
			subject + "logger: {delivery: {deadLetterSink: {ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: iris}}}}",
			"spec.logger.delivery.deadLetterSink.ref", "name another sink",
		},
		"a denied annotation":          {subject + "logger: {metadataAnnotations: [team-secret]}", "spec.logger.metadataAnnotations[0]", "list another"},
		"an annotation without a name": {subject + "logger: {metadataAnnotations: ['9']}", "spec.logger.metadataAnnotations[0]", "spec.logger.metadata: {attribute: NAME, annotation: 9}"},
		"an attribute twice":           {subject + "logger: {metadataAnnotations: [a/team], metadata: [{attribute: team, annotation: b}]}", "spec.logger.metadata[0]", "in spec.logger.metadata:"},
		"a format":                     {subject + "logger: {delivery: {format: binary}}", "spec.logger.delivery.format", "spec.logger.contentMode"},
		"a payload":                    {subject + "logger: {maxPayloadBytes: 16777216, resources: {limits: {memory: 64Mi}}}", "spec.logger.maxPayloadBytes", "spec.logger.resources.limits.memory"},
	} {
		t.Run(what, func(t *testing.T) {
			err := asCreated(ctx, withSpec(t, test.spec))
			if !slices.ContainsFunc(err.WrappedErrors(), func(violation *apis.FieldError) bool {
				return slices.Contains(violation.Paths, test.path) && strings.Contains(violation.Error(), test.remedy)
			}) {
				t.Errorf("nothing at %s says %q: %v", test.path, test.remedy, err)
			}
			if strings.Contains(err.Error(), "predictor") {
				t.Errorf("a binding has no predictor: %v", err)
			}
		})
	}
}

func TestAnUpdateIsRefusedOnlyForNewViolations(t *testing.T) {
	old := withSpec(t, subject+"logger: {mode: some}")
	ctx := apis.WithinUpdate(t.Context(), old)
	same := old.DeepCopy()
	same.SetDefaults(ctx)
	if err := same.Validate(ctx); err.Filter(apis.ErrorLevel) != nil || err.Filter(apis.WarningLevel) == nil {
		t.Errorf("an old violation: %v, want a warning", err)
	}
	worse := same.DeepCopy()
	worse.Spec.Rollout = "Later"
	if err := worse.Validate(ctx).Filter(apis.ErrorLevel); err == nil || strings.Contains(err.Error(), "mode") {
		t.Errorf("a new violation: %v", err)
	}
	deleted := worse.DeepCopy()
	deleted.DeletionTimestamp = &metav1.Time{}
	if err := deleted.Validate(ctx); err != nil {
		t.Errorf("it is being deleted: %v", err)
	}
	if err := worse.Validate(apis.WithinSubResourceUpdate(t.Context(), old, "status")); err != nil {
		t.Errorf("a status: %v", err)
	}
}

// The logger of a binding has the defaults of an InferenceService's.
func TestDefaults(t *testing.T) {
	const logger = "{sink: {ref: {apiVersion: eventing.knative.dev/v1, kind: Broker, name: default}}, spool: {sizeLimit: 1Gi}}"
	binding := withSpec(t, subject+"logger: "+logger)
	binding.SetDefaults(t.Context())
	if binding.Spec.Rollout != v1alpha1.RolloutOnNextChange {
		t.Errorf("rollout is %q", binding.Spec.Rollout)
	}
	is := &v1beta1.InferenceService{ObjectMeta: binding.ObjectMeta}
	if err := yaml.Unmarshal([]byte("logger: "+logger), &is.Spec.Predictor); err != nil {
		t.Fatal(err)
	}
	is.SetDefaults(t.Context())
	if diff := cmp.Diff(is.Spec.Predictor.Logger, binding.Spec.Logger); diff != "" {
		t.Errorf("(-InferenceService, +LoggerBinding): %s", diff)
	}
	once := binding.DeepCopy()
	binding.SetDefaults(t.Context())
	if diff := cmp.Diff(once, binding); diff != "" {
		t.Errorf("not idempotent: %s", diff)
	}
	deleted := withSpec(t, subject)
	deleted.DeletionTimestamp = &metav1.Time{}
	deleted.SetDefaults(t.Context())
	if deleted.Spec.Rollout != "" {
		t.Error("an object that is being deleted was defaulted")
	}
}
