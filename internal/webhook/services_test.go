/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package webhook

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	fakekubeclient "knative.dev/pkg/client/injection/kube/client/fake"
	mwhinformer "knative.dev/pkg/client/injection/kube/informers/admissionregistration/v1/mutatingwebhookconfiguration"
	"knative.dev/pkg/configmap"
	"knative.dev/pkg/controller"
	secretinformer "knative.dev/pkg/injection/clients/namespacedkube/informers/core/v1/secret"
	pkgreconciler "knative.dev/pkg/reconciler"
	reconcilertesting "knative.dev/pkg/reconciler/testing"
	"knative.dev/pkg/system"
	"knative.dev/pkg/tracker"
	knativewebhook "knative.dev/pkg/webhook"
	certresources "knative.dev/pkg/webhook/certificates/resources"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	bindinginformer "github.com/sidenote-dev/sidenote/pkg/client/injection/informers/bindings/v1alpha1/loggerbinding"

	_ "github.com/sidenote-dev/sidenote/pkg/client/injection/informers/bindings/v1alpha1/loggerbinding/fake"
)

// apiServer asks the webhook as an API server does, after Serving's defaulting.
type apiServer struct {
	*testing.T
	ctx  context.Context
	impl *controller.Impl
}

func newAPIServer(t *testing.T, agentImage string, bindings ...*v1alpha1.LoggerBinding) apiServer {
	t.Helper()
	ctx, _ := reconcilertesting.SetupFakeContext(t, func(ctx context.Context) context.Context {
		return knativewebhook.WithOptions(ctx, knativewebhook.Options{ServiceName: "webhook", SecretName: SecretName})
	})
	ctx, cancel := context.WithCancel(ctx)
	t.Cleanup(cancel)
	for _, binding := range bindings {
		if err := bindinginformer.Get(ctx).Informer().GetIndexer().Add(binding); err != nil {
			t.Fatal(err)
		}
	}
	return apiServer{t, ctx, NewServicesController(ctx, configmap.NewStaticWatcher(
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: config.LoggerConfigName}},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: config.AgentConfigName}, Data: map[string]string{"image": agentImage}},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: config.ObservabilityConfigName()}},
	))}
}

// payloads selects each Knative Service of KServe's InferenceService iris.
func payloads() *v1alpha1.LoggerBinding {
	binding := &v1alpha1.LoggerBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "payloads", Namespace: "team-a", Generation: 1},
		Spec: v1alpha1.LoggerBindingSpec{
			Subject: tracker.Reference{APIVersion: "serving.knative.dev/v1", Kind: "Service",
				Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"serving.kserve.io/inferenceservice": "iris"}}},
			Logger: &v1beta1.LoggerSpec{MetadataAnnotations: []string{"team"}},
		},
	}
	binding.Status.ObservedGeneration = 1
	binding.Status.Logger = &v1alpha1.LoggerStatus{Sink: &duckv1.Addressable{URL: apis.HTTP("broker.example")}}
	return binding
}

// kserves is a predictor as KServe writes it. The Go type lacks surprise.
const kserves = `
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: iris-predictor, namespace: team-a, labels: {serving.kserve.io/inferenceservice: iris, component: predictor}}
spec:
  surprise: 1
  template:
    metadata: {labels: {component: predictor}, annotations: {team: a}}
    spec:
      surprise: {deep: null}
      containers:
      - name: kserve-container
        image: registry.example/model:v1
        surprise: [1]
        resources: {limits: {cpu: 1000m}}
        ports: [{containerPort: 8080, protocol: TCP}]
`

// admit returns the object as it is stored: with Serving's defaults, and with the
// patch of the webhook.
func (a apiServer) admit(old, updated *unstructured.Unstructured, dryRun bool) *unstructured.Unstructured {
	a.Helper()
	defaulted := updated.DeepCopy()
	setServingsDefaults(a.T, old, defaulted)
	request := &admissionv1.AdmissionRequest{
		UID: "1", Operation: admissionv1.Create, Namespace: "team-a", Name: updated.GetName(), DryRun: new(dryRun),
		Object: runtime.RawExtension{Raw: raw(a.T, defaulted)},
	}
	if old != nil {
		request.Operation, request.OldObject.Raw = admissionv1.Update, raw(a.T, old)
	}
	return a.reply(request)
}

func (a apiServer) reply(request *admissionv1.AdmissionRequest) *unstructured.Unstructured {
	a.Helper()
	response := a.impl.Reconciler.(knativewebhook.AdmissionController).Admit(a.ctx, request)
	if !response.Allowed {
		a.Fatalf("the request is refused: %+v", response.Result)
	}
	stored := request.Object.Raw
	if len(response.Patch) > 0 {
		var operations []struct{ Path string }
		if err := json.Unmarshal(response.Patch, &operations); err != nil {
			a.Fatal(err)
		}
		for _, operation := range operations {
			if !strings.HasPrefix(operation.Path, "/spec/template/") {
				a.Errorf("the patch touches %s", operation.Path)
			}
		}
		patch, err := jsonpatch.DecodePatch(response.Patch)
		if err != nil {
			a.Fatal(err)
		}
		if stored, err = patch.Apply(stored); err != nil {
			a.Fatalf("the API server can't apply the patch %s: %v", response.Patch, err)
		}
	}
	result := new(unstructured.Unstructured)
	if err := result.UnmarshalJSON(stored); err != nil {
		a.Fatal(err)
	}
	return result
}

// setServingsDefaults sets the defaults that the test relies on, and leaves what
// the Go type lacks, as an API server without pruning would.
func setServingsDefaults(t *testing.T, old, updated *unstructured.Unstructured) {
	t.Helper()
	service := new(servingv1.Service)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(updated.Object, service); err != nil {
		t.Fatal(err)
	}
	before := service.DeepCopy()
	ctx := apis.WithinCreate(t.Context())
	if old != nil {
		ctx = apis.WithinUpdate(t.Context(), nil)
	}
	service.Spec.Template.SetDefaults(ctx)
	spec := updated.Object["spec"].(map[string]any)
	template, err := carryOver(spec["template"], &before.Spec.Template, &service.Spec.Template)
	if err != nil {
		t.Fatal(err)
	}
	spec["template"] = template
}

func raw(t *testing.T, object *unstructured.Unstructured) []byte {
	t.Helper()
	data, err := object.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func containers(object *unstructured.Unstructured) (names []string) {
	list, _, _ := unstructured.NestedSlice(object.Object, "spec", "template", "spec", "containers")
	for _, container := range list {
		names = append(names, container.(map[string]any)["name"].(string)+" "+container.(map[string]any)["image"].(string))
	}
	return names
}

func (a apiServer) same(what string, want, got *unstructured.Unstructured) {
	a.Helper()
	if diff := cmp.Diff(written(a.T, want), written(a.T, got)); diff != "" {
		a.Errorf("%s (-want, +got): %s", what, diff)
	}
}

// edited returns a copy in which a text is another one.
func edited(t *testing.T, object *unstructured.Unstructured, from, to string) *unstructured.Unstructured {
	t.Helper()
	text := string(raw(t, object))
	if !strings.Contains(text, from) {
		t.Fatalf("there is no %s in %s", from, text)
	}
	changed := new(unstructured.Unstructured)
	if err := changed.UnmarshalJSON([]byte(strings.Replace(text, from, to, 1))); err != nil {
		t.Fatal(err)
	}
	return changed
}

// kserveReconciles updates a Knative Service as KServe's controller does: with what
// a dry run made of its own object.
func (a apiServer) kserveReconciles(stored, desired *unstructured.Unstructured) (dry, updated *unstructured.Unstructured) {
	a.Helper()
	dry = a.admit(stored, desired, true)
	updated = stored.DeepCopy()
	spec := dry.DeepCopy().Object["spec"].(map[string]any)
	pod := spec["template"].(map[string]any)["spec"].(map[string]any)
	if _, found := pod["enableServiceLinks"]; !found {
		pod["enableServiceLinks"] = false
	}
	updated.Object["spec"] = spec
	return dry, a.admit(stored, updated, false)
}

func TestAKnativeServiceGetsTheAgent(t *testing.T) {
	api := newAPIServer(t, "agent:v1", payloads())
	stored := api.admit(nil, object(t, kserves), false)
	if want := []string{"kserve-container registry.example/model:v1", "sidenote-agent agent:v1"}; !slices.Equal(containers(stored), want) {
		t.Errorf("the containers are %v, want %v", containers(stored), want)
	}
	for _, text := range []string{`"surprise":{"deep":null}`, `"surprise":[1]`, `"cpu":"1000m"`, `--metadata=team=a`, `--sink=http://broker.example`, `--component=predictor`, `--inference-service=iris`} {
		if !strings.Contains(string(raw(t, stored)), text) {
			t.Errorf("there is no %s in %s", text, raw(t, stored))
		}
	}
	api.same("a dry run", stored, api.admit(nil, object(t, kserves), true))
	api.same("asked again", stored, api.admit(nil, stored, false))
}

// KServe replaces the whole specification, in a dry run and then with what came of
// it, at each of its reconciles.
func TestWhatKServeReplacesKeepsItsAgent(t *testing.T) {
	stored := newAPIServer(t, "agent:v1", payloads()).admit(nil, object(t, kserves), false)
	for what, api := range map[string]apiServer{
		"the same": newAPIServer(t, "agent:v1", payloads()), "a new agent": newAPIServer(t, "agent:v2", payloads()), "no binding": newAPIServer(t, "agent:v2"),
	} {
		for range 10 {
			dry, updated := api.kserveReconciles(stored, object(t, kserves))
			api.same(what+", the dry run", stored, dry)
			api.same(what+", the update", stored, updated)
		}
	}
}

func TestAChangedTemplateGetsAFreshAgent(t *testing.T) {
	stored := newAPIServer(t, "agent:v1", payloads()).admit(nil, object(t, kserves), false)
	api := newAPIServer(t, "agent:v2", payloads())
	want := []string{"kserve-container registry.example/model:v2", "sidenote-agent agent:v2"}

	desired := edited(t, object(t, kserves), "model:v1", "model:v2")
	_, updated := api.kserveReconciles(stored, desired)
	if got := containers(updated); !slices.Equal(got, want) {
		t.Errorf("KServe's containers are %v, want %v", got, want)
	}
	_, again := api.kserveReconciles(updated, desired)
	api.same("KServe's next reconcile", updated, again)

	byHand := api.admit(stored, edited(t, stored, "model:v1", "model:v2"), false)
	if got := containers(byHand); !slices.Equal(got, want) {
		t.Errorf("the edited containers are %v, want %v", got, want)
	}
	api.same("kubectl edit and KServe", updated, byHand)

	without := newAPIServer(t, "agent:v2").admit(stored, edited(t, stored, "model:v1", "model:v2"), false)
	if got := containers(without); !slices.Equal(got, want[:1]) {
		t.Errorf("without a binding the containers are %v, want %v", got, want[:1])
	}
	if text := string(raw(t, without)); strings.Contains(text, "sidenote") {
		t.Errorf("something of the agent is left: %s", text)
	}
}

func TestARequestThatIsNotForTheWebhookPasses(t *testing.T) {
	api := newAPIServer(t, "agent:v1", payloads())
	valid := raw(t, object(t, kserves))
	for what, request := range map[string]*admissionv1.AdmissionRequest{
		"a deletion":                    {Operation: admissionv1.Delete, OldObject: runtime.RawExtension{Raw: valid}},
		"a status":                      {Operation: admissionv1.Update, SubResource: "status", Object: runtime.RawExtension{Raw: valid}},
		"an object that is being gone":  {Operation: admissionv1.Update, Object: runtime.RawExtension{Raw: []byte(strings.Replace(string(valid), `"metadata":{`, `"metadata":{"deletionTimestamp":"2026-01-01T00:00:00Z",`, 1))}},
		"one that Serving's type isn't": {Operation: admissionv1.Create, Object: runtime.RawExtension{Raw: []byte(`{"spec":{"template":{"spec":{"containers":7}}}}`)}},
		"one without a spec":            {Operation: admissionv1.Create, Object: runtime.RawExtension{Raw: []byte(`{"metadata":{"name":"a"}}`)}},
		"one that is nothing":           {Operation: admissionv1.Create, Object: runtime.RawExtension{Raw: []byte(`null`)}},
		"one that nothing selects":      {Operation: admissionv1.Create, Namespace: "team-b", Object: runtime.RawExtension{Raw: []byte(strings.Replace(string(valid), "team-a", "team-b", 1))}},
	} {
		response := api.impl.Reconciler.(knativewebhook.AdmissionController).Admit(api.ctx, request)
		if !response.Allowed || len(response.Patch) > 0 {
			t.Errorf("%s: %+v %s", what, response.Result, response.Patch)
		}
	}
}

// No request may reach the webhook before its caches are complete: a binding that
// it doesn't see yet would lose its agents.
func TestAdmissionWaitsForItsCaches(t *testing.T) {
	api := newAPIServer(t, "agent:v1")
	if _, stateless := api.impl.Reconciler.(knativewebhook.StatelessAdmissionController); stateless {
		t.Error("the admission of Knative Services is stateless")
	}
	if _, aware := api.impl.Reconciler.(pkgreconciler.LeaderAware); !aware {
		t.Error("each replica writes the configuration")
	}
}

func TestTheConfigurationHasTheAuthority(t *testing.T) {
	api := newAPIServer(t, "agent:v1")
	ctx := api.ctx
	configuration := &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: servicesName},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name: servicesName, ClientConfig: admissionregistrationv1.WebhookClientConfig{Service: &admissionregistrationv1.ServiceReference{Name: "webhook"}},
			Rules: []admissionregistrationv1.RuleWithOperations{{Rule: admissionregistrationv1.Rule{Resources: []string{"services"}}}},
		}},
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: system.Namespace(), UID: "uid"}}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: SecretName, Namespace: system.Namespace()}}
	client := fakekubeclient.Get(ctx)
	if _, err := client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.AdmissionregistrationV1().MutatingWebhookConfigurations().Create(ctx, configuration, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	store := func() *admissionregistrationv1.MutatingWebhookConfiguration {
		stored, err := client.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(ctx, servicesName, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := mwhinformer.Get(ctx).Informer().GetIndexer().Add(stored); err != nil {
			t.Fatal(err)
		}
		if err := secretinformer.Get(ctx).Informer().GetIndexer().Add(secret.DeepCopy()); err != nil {
			t.Fatal(err)
		}
		return stored
	}
	store()
	if err := api.impl.Reconciler.Reconcile(ctx, servicesName); err == nil {
		t.Error("a replica that doesn't lead reconciles")
	}
	if err := api.impl.Reconciler.(pkgreconciler.LeaderAware).Promote(pkgreconciler.UniversalBucket(), func(pkgreconciler.Bucket, types.NamespacedName) {}); err != nil {
		t.Fatal(err)
	}
	if err := api.impl.Reconciler.Reconcile(ctx, servicesName); err == nil || !strings.Contains(err.Error(), certresources.CACert) {
		t.Errorf("without an authority: %v", err)
	}
	for _, authority := range []string{"first", "second"} {
		secret.Data = map[string][]byte{certresources.CACert: []byte(authority)}
		store()
		if err := api.impl.Reconciler.Reconcile(ctx, servicesName); err != nil {
			t.Fatal(err)
		}
		written := store()
		if got := string(written.Webhooks[0].ClientConfig.CABundle); got != authority {
			t.Errorf("the authority is %q, want %q", got, authority)
		}
		if diff := cmp.Diff(configuration.Webhooks[0].Rules, written.Webhooks[0].Rules); diff != "" {
			t.Errorf("the rules (-want, +got): %s", diff)
		}
		if len(written.OwnerReferences) != 1 || written.OwnerReferences[0].UID != "uid" || written.OwnerReferences[0].Controller != nil {
			t.Errorf("the owners are %v", written.OwnerReferences)
		}
	}
	client.ClearActions()
	if err := api.impl.Reconciler.Reconcile(ctx, servicesName); err != nil {
		t.Fatal(err)
	}
	for _, action := range client.Actions() {
		if action.GetVerb() == "update" {
			t.Errorf("without a change: %v", action)
		}
	}
}
