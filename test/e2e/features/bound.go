/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"knative.dev/eventing/test/rekt/resources/broker"
	"knative.dev/pkg/apis"
	"knative.dev/pkg/injection/clients/dynamicclient"
	"knative.dev/pkg/ptr"
	"knative.dev/reconciler-test/pkg/environment"
	"knative.dev/reconciler-test/pkg/feature"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/test/ingress"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/knativeservice"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/loggerbinding"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/subscriber"
)

// payloads is the binding of each feature.
const payloads = "payloads"

// loggedLabel is the label by which the binding selects Knative Services.
const loggedLabel = "logged"

// teamOwner lists the annotations that the features of this file send.
var (
	teamOwner       = map[string]any{"metadataAnnotations": []string{"team", "owner"}}
	teamOwnerValues = knativeservice.WithAnnotations(map[string]string{"team": "ai-platform", "owner": "ml-ops"})
	logged          = knativeservice.WithLabels(map[string]string{loggedLabel: "yes"})
)

// loggedServices selects the Knative Services of these features.
var loggedServices = loggerbinding.WithSelector(metav1.LabelSelector{MatchLabels: map[string]string{loggedLabel: "yes"}})

// addServices adds a Broker, and in an included namespace what the steps make, in
// their order. It waits until the Knative Services of these names respond.
func addServices(f *feature.Feature, names []string, steps ...feature.StepFn) {
	addBroker(f)
	f.Setup("there are a LoggerBinding and Knative Services", inOrder(append([]feature.StepFn{include, broker.IsReady(defaultBroker)}, steps...)...))
	for _, name := range names {
		f.Requirement("the Knative Service "+name+" responds", serviceResponds(name))
	}
}

// binds applies the binding of these features.
func binds(options ...loggerbinding.Option) feature.StepFn {
	return func(ctx context.Context, t feature.T) {
		bind(ctx, t, payloads, append([]loggerbinding.Option{loggedServices, loggerbinding.WithLogger(teamOwner)}, options...)...)
	}
}

// serviceResponds waits until a Knative Service is ready and the ingress knows it.
func serviceResponds(name string) feature.StepFn {
	return func(ctx context.Context, t feature.T) {
		knativeservice.IsReady(name)(ctx, t)
		client := ingress.NewHTTPClient()
		eventually(ctx, t, "a response of "+name, func(ctx context.Context) error {
			url, err := serviceURL(ctx, name)
			if err != nil {
				return err
			}
			return predict(ctx, client, url, newRequestID())
		})
	}
}

// serviceURL returns the URL of a Knative Service for clients.
func serviceURL(ctx context.Context, name string) (*apis.URL, error) {
	service, err := knativeservice.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	if service.Status.URL == nil {
		return nil, fmt.Errorf("the Knative Service %s has no status.url", name)
	}
	return service.Status.URL, nil
}

// sendsEvents repeats a prediction of a Knative Service until a subscriber has
// a response event with the attributes.
func sendsEvents(ctx context.Context, t feature.T, name, at string, attributes map[string]string) {
	client := ingress.NewHTTPClient()
	matchers := []subscriber.Matcher{subscriber.WithSource(name), subscriber.WithType(responseType)}
	for _, attribute := range slices.Sorted(maps.Keys(attributes)) {
		matchers = append(matchers, subscriber.WithAttribute(attribute, attributes[attribute]))
	}
	eventually(ctx, t, fmt.Sprintf("events of %s at %s", name, at), func(ctx context.Context) error {
		url, err := serviceURL(ctx, name)
		if err != nil {
			return err
		}
		if err := predict(ctx, client, url, newRequestID()); err != nil {
			return err
		}
		if len(subscriber.Events(ctx, at, matchers...)) == 0 {
			return fmt.Errorf("it got %d events, none of these", len(subscriber.Events(ctx, at)))
		}
		return nil
	})
}

// BoundService tests that a Knative Service which a binding selects gets the agent
// with its first Revision, and keeps it through its owner's changes.
func BoundService() *feature.Feature {
	const name, at = "bound", "team-events"
	f := feature.NewFeatureNamed("a LoggerBinding and a Knative Service")
	addSubscriber(f, at, exact("team", "ai-platform"))
	addServices(f, []string{name}, binds(), knativeservice.Install(name, logged, teamOwnerValues))
	sends := func(ctx context.Context, t feature.T) {
		sendsEvents(ctx, t, name, at, map[string]string{
			"team": "ai-platform", "owner": "ml-ops", "inferenceservicename": name, "component": "predictor",
		})
		awaitServiceRevisions(ctx, t, name, 1)
		awaitSubject(ctx, t, payloads, name, v1alpha1.SubjectBound, "")
	}
	sameAgain := func(ctx context.Context, t feature.T) {
		before, err := knativeservice.Get(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		knativeservice.Install(name, logged, teamOwnerValues)(ctx, t)
		after, err := knativeservice.Get(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		if err := expect("generation", after.Generation, before.Generation); err != nil {
			t.Error(err)
		}
		awaitServiceRevisions(ctx, t, name, 1)
	}
	edit := func(ctx context.Context, t feature.T) {
		if err := knativeservice.Update(ctx, name, func(service *servingv1.Service) {
			model := &service.Spec.Template.Spec.Containers[0]
			model.Env = append(model.Env, corev1.EnvVar{Name: "EDITED", Value: "yes"})
		}); err != nil {
			t.Fatal(err)
		}
		awaitServiceRevisions(ctx, t, name, 2)
		serviceResponds(name)(ctx, t)
		after, err := knativeservice.Get(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		if knativeservice.Agent(after) == nil {
			t.Fatal("the template has no agent")
		}
		sendsEvents(ctx, t, name, at, map[string]string{"revision": after.Status.LatestReadyRevisionName})
		awaitServiceRevisions(ctx, t, name, 2)
	}
	apply := func(ctx context.Context, t feature.T) {
		live, err := knativeservice.Get(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		manifest := &unstructured.Unstructured{Object: fields{
			"apiVersion": servingv1.SchemeGroupVersion.String(), "kind": "Service",
			"metadata": fields{"name": name},
			"spec": fields{"template": fields{"spec": fields{"containers": []any{fields{
				"image": live.Spec.Template.Spec.Containers[0].Image,
				"ports": []any{fields{"containerPort": int64(8080)}},
				"env":   []any{fields{"name": "EDITED", "value": "yes"}},
			}}}}},
		}}
		client := dynamicclient.Get(ctx).Resource(knativeservice.GVR()).Namespace(environment.FromContext(ctx).Namespace())
		applied, err := client.Apply(ctx, name, manifest, metav1.ApplyOptions{FieldManager: "user", Force: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := expect("generation", applied.GetGeneration(), live.Generation); err != nil {
			t.Error(err)
		}
		awaitAgent(ctx, t, name, true)
		awaitServiceRevisions(ctx, t, name, 2)
	}
	// kn looks for the container with the port.
	byKn := func(ctx context.Context, t feature.T) {
		if err := knativeservice.Update(ctx, name, func(service *servingv1.Service) {
			served := slices.IndexFunc(service.Spec.Template.Spec.Containers, func(c corev1.Container) bool { return len(c.Ports) > 0 })
			container := &service.Spec.Template.Spec.Containers[served]
			container.Env = append(container.Env, corev1.EnvVar{Name: "BY_KN", Value: "yes"})
		}); err != nil {
			t.Fatal(err)
		}
		awaitServiceRevisions(ctx, t, name, 3)
		serviceResponds(name)(ctx, t)
		service, err := knativeservice.Get(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, container := range service.Spec.Template.Spec.Containers {
			has := slices.Contains(container.Env, corev1.EnvVar{Name: "BY_KN", Value: "yes"})
			if err := expect("the variable in "+container.Name, has, !isAgent(container)); err != nil {
				t.Error(err)
			}
		}
	}
	f.Assert("its events have team and owner, and only an edit makes a Revision", inOrder(sends, sameAgain, edit, apply, byKn))
	return f
}

// BindAndUnbind tests that a running Knative Service gets the agent at once where the
// binding asks for it, and its own template back when the binding is deleted,
// without a failed request.
func BindAndUnbind() *feature.Feature {
	const name, at = "running", "every-event"
	f := feature.NewFeatureNamed("a LoggerBinding that comes and goes")
	addSubscriber(f, at)
	addServices(f, []string{name}, knativeservice.Install(name, logged, teamOwnerValues,
		knativeservice.WithTemplateMetadata("annotations", map[string]string{"autoscaling.knative.dev/min-scale": "1"}),
		knativeservice.WithContainer("readinessProbe", map[string]any{"httpGet": map[string]any{"path": "/v2/health/ready"}, "periodSeconds": 2})))
	f.Assert("the template is the same before and after", func(ctx context.Context, t feature.T) {
		before, err := knativeservice.Get(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		load := startLoad(ctx, before.Status.URL)
		defer load.end(t)
		load.awaitMore(ctx, t, 50)
		bind(ctx, t, payloads, loggerbinding.WithName(name), loggerbinding.WithLogger(teamOwner), loggerbinding.WithRollout(v1alpha1.RolloutNow))
		awaitSubject(ctx, t, payloads, name, v1alpha1.SubjectBound, "")
		awaitServiceRevisions(ctx, t, name, 2)
		sendsEvents(ctx, t, name, at, map[string]string{"team": "ai-platform", "owner": "ml-ops"})
		if err := loggerbinding.Delete(ctx, payloads); err != nil {
			t.Fatal(err)
		}
		eventually(ctx, t, "the agent to leave the template", func(ctx context.Context) error {
			after, err := knativeservice.Get(ctx, name)
			if err != nil {
				return err
			}
			if !equality.Semantic.DeepEqual(after.Spec.Template, before.Spec.Template) {
				return fmt.Errorf("the template is %+v, want %+v", after.Spec.Template, before.Spec.Template)
			}
			return nil
		})
		awaitServiceRevisions(ctx, t, name, 3)
		serviceResponds(name)(ctx, t)
		load.awaitMore(ctx, t, 200)
	})
	return f
}

// BindOnNextChange tests that a running Knative Service keeps its Revision until its
// owner changes the template, and that the binding's status says so.
func BindOnNextChange() *feature.Feature {
	const name, at = "patient", "every-event"
	f := feature.NewFeatureNamed("a LoggerBinding that waits for the next change")
	addSubscriber(f, at)
	addServices(f, []string{name}, knativeservice.Install(name, logged, teamOwnerValues), knativeservice.IsReady(name), binds())
	f.Assert("it waits, the next change brings the agent, and traffic can go to both Revisions", func(ctx context.Context, t feature.T) {
		awaitSubject(ctx, t, payloads, name, v1alpha1.SubjectWaiting, "NextChange")
		awaitServiceRevisions(ctx, t, name, 1)
		if err := knativeservice.Update(ctx, name, func(service *servingv1.Service) {
			service.Spec.Template.Spec.Containers[0].Env = append(service.Spec.Template.Spec.Containers[0].Env, corev1.EnvVar{Name: "CHANGED", Value: "yes"})
			service.Spec.Traffic = []servingv1.TrafficTarget{
				{RevisionName: name + "-00001", Percent: ptr.Int64(50)},
				{LatestRevision: ptr.Bool(true), Percent: ptr.Int64(50)},
			}
		}); err != nil {
			t.Fatal(err)
		}
		awaitServiceRevisions(ctx, t, name, 2)
		serviceResponds(name)(ctx, t)
		awaitSubject(ctx, t, payloads, name, v1alpha1.SubjectBound, "")
		sendsEvents(ctx, t, name, at, map[string]string{"team": "ai-platform"})
		for _, event := range subscriber.Events(ctx, at) {
			if err := expect("revision", subscriber.Attribute(event, "revision"), name+"-00002"); err != nil {
				t.Error(err)
			}
		}
	})
	return f
}

// BoundTemplates tests that Knative Services of many shapes get the agent and serve.
func BoundTemplates() *feature.Feature {
	const at = "every-event"
	f := feature.NewFeatureNamed("a LoggerBinding and templates of many shapes")
	addSubscriber(f, at)
	var names []string
	steps := []feature.StepFn{binds()}
	for name, options := range map[string][]knativeservice.Option{
		"named":   {knativeservice.WithContainer("name", "model")},
		"no-port": {knativeservice.WithContainer("ports", nil)},
		"grpc": {
			knativeservice.WithContainer("ports", []map[string]any{{"name": "h2c", "containerPort": 8080}}),
			knativeservice.WithContainer("readinessProbe", map[string]any{"grpc": map[string]any{"port": 8080}}),
		},
		"h2c":                {knativeservice.WithContainer("ports", []map[string]any{{"name": "h2c", "containerPort": 8080}})},
		"tcp":                {knativeservice.WithContainer("readinessProbe", map[string]any{"tcpSocket": map[string]any{"port": 0}})},
		"sidecar":            {knativeservice.WithSidecar("beside", "8090")},
		"annotated-template": {knativeservice.WithTemplateMetadata("annotations", map[string]string{"autoscaling.knative.dev/target": "10"})},
	} {
		names = append(names, name)
		steps = append(steps, knativeservice.Install(name, append(options, logged, teamOwnerValues)...))
		f.Assert("events of "+name+" arrive", func(ctx context.Context, t feature.T) {
			sendsEvents(ctx, t, name, at, map[string]string{"team": "ai-platform", "owner": "ml-ops"})
			awaitServiceRevisions(ctx, t, name, 1)
		})
	}
	addServices(f, names, steps...)
	return f
}

// NotBound tests that a Knative Service which can't have the agent serves without
// it, and that the binding's status says why.
func NotBound() *feature.Feature {
	f := feature.NewFeatureNamed("Knative Services that can't be bound")
	steps := []feature.StepFn{binds()}
	for name, refused := range map[string]struct {
		reason  string
		options []knativeservice.Option
	}{
		"kserve-logger": {"Conflict", []knativeservice.Option{
			knativeservice.WithTemplateMetadata("annotations", map[string]string{"internal.serving.kserve.io/logger": "true"})}},
		"agents-port": {"ReservedPort", []knativeservice.Option{
			knativeservice.WithContainer("ports", []map[string]any{{"containerPort": 9081}})}},
		"exec-probe": {"Refused", []knativeservice.Option{
			knativeservice.WithContainer("readinessProbe", map[string]any{"exec": map[string]any{"command": []string{"/ko-app/model", "-h"}}})}},
	} {
		steps = append(steps, knativeservice.Install(name, append(refused.options, logged)...))
		f.Assert(name+" is not bound", func(ctx context.Context, t feature.T) {
			awaitSubject(ctx, t, payloads, name, v1alpha1.SubjectNotBound, refused.reason)
			service, err := knativeservice.Get(ctx, name)
			if err != nil {
				t.Fatal(err)
			}
			if agent := knativeservice.Agent(service); agent != nil {
				t.Errorf("it has the agent %v", agent)
			}
		})
	}
	addServices(f, nil, steps...)
	return f
}

// NamedRevision tests that a Knative Service whose owner names its Revisions gets the
// agent with a new name, and waits until then.
func NamedRevision() *feature.Feature {
	const name, at = "named-revision", "every-event"
	f := feature.NewFeatureNamed("a Knative Service that names its Revisions")
	addSubscriber(f, at)
	addServices(f, []string{name},
		knativeservice.Install(name, logged, teamOwnerValues, knativeservice.WithTemplateMetadata("name", name+"-a")),
		knativeservice.IsReady(name), binds(loggerbinding.WithRollout(v1alpha1.RolloutNow)))
	f.Assert("it waits for a new name, and gets the agent with it", func(ctx context.Context, t feature.T) {
		awaitSubject(ctx, t, payloads, name, v1alpha1.SubjectWaiting, "WaitingForRevisionName")
		awaitServiceRevisions(ctx, t, name, 1)
		if err := knativeservice.Update(ctx, name, func(service *servingv1.Service) {
			service.Spec.Template.Name = name + "-b"
		}); err != nil {
			t.Fatal(err)
		}
		awaitServiceRevisions(ctx, t, name, 2)
		serviceResponds(name)(ctx, t)
		sendsEvents(ctx, t, name, at, map[string]string{"team": "ai-platform", "revision": name + "-b"})
		awaitSubject(ctx, t, payloads, name, v1alpha1.SubjectBound, "")
	})
	return f
}

// BoundFromZero tests that requests to a bound model without a pod wait for it.
func BoundFromZero() *feature.Feature {
	const name, at = "from-zero", "every-event"
	f := feature.NewFeatureNamed("a bound Knative Service scaled from zero")
	addSubscriber(f, at)
	addServices(f, []string{name}, binds(), knativeservice.Install(name, logged, teamOwnerValues,
		knativeservice.WithTemplateMetadata("annotations", map[string]string{
			"autoscaling.knative.dev/window": "6s", "autoscaling.knative.dev/scale-to-zero-pod-retention-period": "0s",
		}),
		knativeservice.WithContainer("env", []map[string]string{{"name": "MODEL_LISTEN_DELAY", "value": "3s"}})))
	f.Assert("no request fails", func(ctx context.Context, t feature.T) {
		awaitServiceWithoutPods(ctx, t, name)
		url, err := serviceURL(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		status, _, err := post(ctx, ingress.NewHTTPClient(), url, "/v1/models/m:predict", instances, nil)
		if err := errors.Join(err, expect("status", status, http.StatusOK)); err != nil {
			t.Error(err)
		}
		sendsEvents(ctx, t, name, at, map[string]string{"team": "ai-platform"})
	})
	return f
}

// BoundLiveMetadata tests that under metadataRefresh Live a changed annotation of the
// Knative Service reaches the running agents, without a Revision.
func BoundLiveMetadata() *feature.Feature {
	const name, at = "bound-live", "every-event"
	f := feature.NewFeatureNamed("live metadata of a bound Knative Service")
	addSubscriber(f, at)
	addServices(f, []string{name},
		binds(loggerbinding.WithLogger(map[string]any{"metadataAnnotations": []string{"team"}, "metadataRefresh": "Live"})),
		knativeservice.Install(name, logged, knativeservice.WithAnnotations(map[string]string{"team": "before"}),
			knativeservice.WithTemplateMetadata("annotations", map[string]string{"autoscaling.knative.dev/min-scale": "1"})))
	f.Assert("a changed annotation reaches the running agent", func(ctx context.Context, t feature.T) {
		sendsEvents(ctx, t, name, at, map[string]string{"team": "before"})
		if err := knativeservice.Update(ctx, name, func(service *servingv1.Service) { service.Annotations["team"] = "after" }); err != nil {
			t.Fatal(err)
		}
		sendsEvents(ctx, t, name, at, map[string]string{"team": "after"})
		awaitServiceRevisions(ctx, t, name, 1)
	})
	return f
}

// BoundKeepsLastValue tests that under metadataRefresh Live a value that can't go into
// an event leaves the last valid one on the events, and that the binding says so.
// Admission refuses such a value of an InferenceService, but not of a Knative Service.
func BoundKeepsLastValue() *feature.Feature {
	const name, at = "bound-invalid", "every-event"
	f := feature.NewFeatureNamed("an invalid value of live metadata")
	addSubscriber(f, at)
	addServices(f, []string{name},
		binds(loggerbinding.WithLogger(map[string]any{"metadataAnnotations": []string{"team"}, "metadataRefresh": "Live"})),
		knativeservice.Install(name, logged, knativeservice.WithAnnotations(map[string]string{"team": "before"})))
	f.Assert("events keep the last valid one", func(ctx context.Context, t feature.T) {
		sendsEvents(ctx, t, name, at, map[string]string{"team": "before"})
		if err := knativeservice.Update(ctx, name, func(service *servingv1.Service) { service.Annotations["team"] = "two\nlines" }); err != nil {
			t.Fatal(err)
		}
		eventually(ctx, t, "the binding to say so", func(ctx context.Context) error {
			binding, err := loggerbinding.Get(ctx, payloads)
			if err != nil {
				return err
			}
			condition := binding.Status.GetCondition(v1alpha1.MetadataReady)
			if !condition.IsFalse() || condition.Reason != "MetadataInvalid" || !strings.Contains(condition.Message, name) {
				return fmt.Errorf("MetadataReady is %v", condition)
			}
			return nil
		})
		url, err := serviceURL(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		id := newRequestID()
		if err := predict(ctx, ingress.NewHTTPClient(), url, id); err != nil {
			t.Fatal(err)
		}
		awaitTypes(ctx, t, at, id, []string{requestType, responseType})
		for _, event := range subscriber.Events(ctx, at, ofExchange(id)) {
			if err := expect(event.Type()+" team", subscriber.Attribute(event, "team"), "before"); err != nil {
				t.Error(err)
			}
		}
		awaitServiceRevisions(ctx, t, name, 1)
	})
	return f
}

// SteadyBinding tests that a bound Knative Service is written by nobody: through ten
// changes of an annotation that its template lacks, restarts of controller and
// webhook, a new image of the agent and a new default sink. Nothing else may run
// beside it.
func SteadyBinding() *feature.Feature {
	const name = "steady-bound"
	f := feature.NewFeatureNamed("a steady bound Knative Service")
	addServices(f, []string{name}, binds(loggerbinding.WithRollout(v1alpha1.RolloutNow)), knativeservice.Install(name, logged, teamOwnerValues))
	f.Assert("nothing changes its template", func(ctx context.Context, t feature.T) {
		awaitSubject(ctx, t, payloads, name, v1alpha1.SubjectBound, "")
		before, err := knativeservice.Get(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		unchanged := func() {
			after, err := knativeservice.Get(ctx, name)
			if err != nil {
				t.Fatal(err)
			}
			if err := expect("generation", after.Generation, before.Generation); err != nil {
				t.Fatalf("the Knative Service was written: %v, by %v", err, after.ManagedFields)
			}
			awaitServiceRevisions(ctx, t, name, 1)
		}
		for i := range 10 {
			if err := knativeservice.Update(ctx, name, func(service *servingv1.Service) {
				service.Annotations["example.com/touched"] = fmt.Sprint(i)
			}); err != nil {
				t.Fatal(err)
			}
			unchanged()
		}
		restartController(ctx, t)
		restart(ctx, t, systemNamespace, webhookDeployment)
		awaitBindingReconciled(ctx, t)
		unchanged()
		for _, setting := range []struct{ configMap, key, value string }{
			{config.AgentConfigName, "image", "registry.example/another-agent:v2"},
			{config.LoggerConfigName, "default-sink", "uri: http://elsewhere.example"},
		} {
			restore := setConfig(ctx, t, setting.configMap, setting.key, setting.value)
			awaitBindingReconciled(ctx, t)
			unchanged()
			restore()
			awaitBindingReconciled(ctx, t)
			unchanged()
		}
	})
	return f
}

// awaitBindingReconciled waits until the controller has seen two changes of the
// binding that concern no template.
func awaitBindingReconciled(ctx context.Context, t feature.T) {
	for _, rollout := range []v1alpha1.Rollout{v1alpha1.RolloutOnNextChange, v1alpha1.RolloutNow} {
		if err := loggerbinding.Update(ctx, payloads, func(binding *v1alpha1.LoggerBinding) { binding.Spec.Rollout = rollout }); err != nil {
			t.Fatal(err)
		}
		eventually(ctx, t, "the controller to see a change", func(ctx context.Context) error {
			binding, err := loggerbinding.Get(ctx, payloads)
			if err != nil {
				return err
			}
			return expect("status.observedGeneration", binding.Status.ObservedGeneration, binding.Generation)
		})
	}
}
