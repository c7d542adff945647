/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package loggerbinding

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	fakekube "k8s.io/client-go/kubernetes/fake"
	corev1listers "k8s.io/client-go/listers/core/v1"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	"knative.dev/pkg/client/injection/ducks/duck/v1/addressable"
	"knative.dev/pkg/controller"
	"knative.dev/pkg/logging"
	"knative.dev/pkg/ptr"
	"knative.dev/pkg/reconciler"
	reconcilertesting "knative.dev/pkg/reconciler/testing"
	"knative.dev/pkg/resolver"
	servingconfig "knative.dev/serving/pkg/apis/config"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
	fakeserving "knative.dev/serving/pkg/client/clientset/versioned/fake"
	servingv1listers "knative.dev/serving/pkg/client/listers/serving/v1"

	"github.com/sidenote-dev/sidenote/internal/binding"
	"github.com/sidenote-dev/sidenote/internal/reconciler/configmaps"
	"github.com/sidenote-dev/sidenote/internal/reconciler/trustbundles"
	"github.com/sidenote-dev/sidenote/pkg/apis/bindings"
	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving"
	fakesidenote "github.com/sidenote-dev/sidenote/pkg/client/clientset/versioned/fake"
	loggerbindingreconciler "github.com/sidenote-dev/sidenote/pkg/client/injection/reconciler/bindings/v1alpha1/loggerbinding"
	v1alpha1listers "github.com/sidenote-dev/sidenote/pkg/client/listers/bindings/v1alpha1"
	v1beta1listers "github.com/sidenote-dev/sidenote/pkg/client/listers/serving/v1beta1"
)

// world is a cluster in memory: an API server that counts generations and
// resource versions, Knative Serving's webhook before it, informers that are
// always up to date, and a Broker. Everything in it happens in the test's own
// goroutine.
type world struct {
	t          *testing.T
	ctx        context.Context
	config     *config.Config
	serving    *servingconfig.Config
	reconciler controller.Reconciler
	recorder   *record.FakeRecorder

	bindings, services, configMaps, namespaces, brokers, bundles cache.Indexer
	// own and shared are the fingerprints that the informers keep of configMaps.
	own, shared cache.Indexer

	// refusal is how the API server responds to each write of a Knative Service,
	// and configMapRefusal to each of a ConfigMap.
	refusal, configMapRefusal error
	// writes are those since the last call of reconcile.
	writes          []string
	resourceVersion int
}

func newWorld(t *testing.T, b *v1alpha1.LoggerBinding) *world {
	t.Helper()
	w := &world{
		t: t, recorder: record.NewFakeRecorder(100),
		bindings: newIndexer(), services: newIndexer(), configMaps: newIndexer(), namespaces: newIndexer(), brokers: newIndexer(), bundles: newIndexer(),
		own: newIndexer(), shared: newIndexer(),
		config: config.FromContextOrDefaults(t.Context()), serving: servingconfig.FromContextOrDefaults(t.Context()),
	}
	w.config.Agent.Image = "agent:v1"
	w.ctx = logging.WithLogger(t.Context(), zap.NewNop().Sugar())
	w.ctx = context.WithValue(w.ctx, addressable.Key{}, w)
	w.restart()
	w.includeNamespace(nil)
	w.moveBroker(apis.HTTP("broker-ingress.knative-eventing.svc.cluster.local"))
	w.put(w.bindings, b)
	return w
}

// includeNamespace includes the namespace, which may be being deleted.
func (w *world) includeNamespace(deleted *metav1.Time) {
	w.put(w.namespaces, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: namespace, DeletionTimestamp: deleted, Labels: map[string]string{bindings.IncludeLabelKey: "true"},
	}})
}

// moveBroker has the default Broker appear, or get another address.
func (w *world) moveBroker(to *apis.URL) {
	broker := &duckv1.AddressableType{ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: namespace}}
	broker.Status.Address = &duckv1.Addressable{URL: to}
	w.put(w.brokers, broker)
}

// restart has a new controller take over.
func (w *world) restart() {
	kube, servingClient, sidenote := fakekube.NewClientset(), fakeserving.NewSimpleClientset(), fakesidenote.NewSimpleClientset()
	servingClient.PrependReactor("*", "services", w.writeService)
	kube.PrependReactor("*", "configmaps", w.writeConfigMap)
	sidenote.PrependReactor("*", "loggerbindings", w.writeStatus)
	services := servingv1listers.NewServiceLister(w.services)
	own := corev1listers.NewConfigMapLister(w.own)
	w.reconciler = loggerbindingreconciler.NewReconciler(w.ctx, logging.FromContext(w.ctx), sidenote,
		v1alpha1listers.NewLoggerBindingLister(w.bindings), w.recorder,
		&Reconciler{
			kube: kube, serving: servingClient,
			bindingLister: v1alpha1listers.NewLoggerBindingLister(w.bindings), serviceLister: services,
			namespaceLister: corev1listers.NewNamespaceLister(w.namespaces),
			configMapLister: own, sharedLister: corev1listers.NewConfigMapLister(w.shared),
			readers: configmaps.Readers{
				InferenceServices: v1beta1listers.NewInferenceServiceLister(newIndexer()), Services: services, OfBindings: own,
			},
			trustBundles: trustbundles.Of(corev1listers.NewConfigMapLister(w.bundles).ConfigMaps("knative-eventing")),
			resolver:     resolver.NewURIResolverFromTracker(w.ctx, &reconcilertesting.FakeTracker{}),
		}, controller.Options{ConfigStore: w})
	if err := w.reconciler.(reconciler.LeaderAware).Promote(reconciler.UniversalBucket(), func(reconciler.Bucket, types.NamespacedName) {}); err != nil {
		w.t.Fatal(err)
	}
}

// ToContext implements reconciler.ConfigStore.
func (w *world) ToContext(ctx context.Context) context.Context {
	return servingconfig.ToContext(config.ToContext(ctx, w.config), w.serving)
}

// Get implements duck.InformerFactory, for the resolver of sinks.
func (w *world) Get(_ context.Context, resource schema.GroupVersionResource) (cache.SharedIndexInformer, cache.GenericLister, error) {
	informer := cache.NewSharedIndexInformer(&cache.ListWatch{}, &duckv1.AddressableType{}, 0, cache.Indexers{})
	return informer, cache.NewGenericLister(w.brokers, resource.GroupResource()), nil
}

func (w *world) put(indexer cache.Indexer, object metav1.Object) {
	w.t.Helper()
	w.resourceVersion++
	object.SetResourceVersion(fmt.Sprint(w.resourceVersion))
	if err := indexer.Update(object); err != nil {
		w.t.Fatal(err)
	}
	if indexer != w.configMaps {
		return
	}
	cached, err := configmaps.Fingerprint(object)
	if err != nil {
		w.t.Fatal(err)
	}
	for label, informer := range map[string]cache.Indexer{bindings.ServiceLabelKey: w.own, serving.ComponentLabelKey: w.shared} {
		if _, labelled := object.GetLabels()[label]; labelled {
			if err := informer.Update(cached); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

func (w *world) writeService(action clienttesting.Action) (bool, runtime.Object, error) {
	update, isUpdate := action.(clienttesting.UpdateAction)
	if !isUpdate || action.GetVerb() != "update" || action.GetSubresource() != "" {
		return true, nil, fmt.Errorf("unexpected %s of a Knative Service", action.GetVerb())
	}
	service := update.GetObject().(*servingv1.Service).DeepCopy()
	w.writes = append(w.writes, "update Knative Service "+service.Name)
	if w.refusal != nil {
		return true, nil, w.refusal
	}
	stored := w.service(service.Name)
	if stored.ResourceVersion != service.ResourceVersion {
		return true, nil, apierrors.NewConflict(servingv1.Resource("services"), service.Name, errors.New("changed meanwhile"))
	}
	service.SetDefaults(servingconfig.ToContext(apis.WithinUpdate(w.ctx, stored), w.serving))
	if errs := service.Validate(servingconfig.ToContext(apis.WithinUpdate(w.ctx, stored), w.serving)).Filter(apis.ErrorLevel); errs != nil {
		return true, nil, apierrors.NewBadRequest(errs.Error())
	}
	if !equality.Semantic.DeepEqual(stored.Spec, service.Spec) {
		service.Generation++
	}
	w.put(w.services, service)
	return true, service.DeepCopy(), nil
}

func (w *world) writeConfigMap(action clienttesting.Action) (bool, runtime.Object, error) {
	if get, isGet := action.(clienttesting.GetAction); isGet && action.GetVerb() == "get" {
		stored, found, _ := w.configMaps.GetByKey(get.GetNamespace() + "/" + get.GetName())
		if !found {
			return true, nil, apierrors.NewNotFound(corev1.Resource("configmaps"), get.GetName())
		}
		return true, stored.(*corev1.ConfigMap).DeepCopy(), nil
	}
	if w.configMapRefusal != nil {
		return true, nil, w.configMapRefusal
	}
	switch action := action.(type) {
	case clienttesting.DeleteAction:
		w.writes = append(w.writes, "delete ConfigMap "+action.GetName())
		stored, _, _ := w.configMaps.GetByKey(action.GetNamespace() + "/" + action.GetName())
		return true, nil, errors.Join(w.own.Delete(stored), w.shared.Delete(stored), w.configMaps.Delete(stored))
	case clienttesting.UpdateAction:
		configMap := action.GetObject().(*corev1.ConfigMap).DeepCopy()
		w.writes = append(w.writes, action.GetVerb()+" ConfigMap "+configMap.Name)
		w.put(w.configMaps, configMap)
		return true, configMap.DeepCopy(), nil
	}
	return true, nil, fmt.Errorf("unexpected %s of a ConfigMap", action.GetVerb())
}

func (w *world) writeStatus(action clienttesting.Action) (bool, runtime.Object, error) {
	update, isUpdate := action.(clienttesting.UpdateAction)
	if !isUpdate || action.GetSubresource() != "status" {
		return true, nil, fmt.Errorf("unexpected %s of a LoggerBinding", action.GetVerb())
	}
	w.writes = append(w.writes, "status")
	b := w.binding().DeepCopy()
	b.Status = *update.GetObject().(*v1alpha1.LoggerBinding).Status.DeepCopy()
	w.put(w.bindings, b)
	return true, b.DeepCopy(), nil
}

// reconcile runs the reconciler once. It fails where the reconciler changed an
// object of an informer.
func (w *world) reconcile() error {
	w.t.Helper()
	w.writes = nil
	type held struct{ object, before runtime.Object }
	var informers []held
	for _, indexer := range []cache.Indexer{w.bindings, w.services, w.configMaps, w.own, w.shared, w.namespaces, w.brokers} {
		for _, object := range indexer.List() {
			informers = append(informers, held{object.(runtime.Object), object.(runtime.Object).DeepCopyObject()})
		}
	}
	err := w.reconciler.Reconcile(w.ctx, namespace+"/payloads")
	for _, held := range informers {
		if diff := cmp.Diff(held.before, held.object); diff != "" {
			w.t.Errorf("the reconciler changed an informer's object (-before, +after): %s", diff)
		}
	}
	return err
}

// settle reconciles until nothing is written any more.
func (w *world) settle() (written []string) {
	w.t.Helper()
	for range 10 {
		if err := w.reconcile(); err != nil && !isRequeue(err) {
			w.t.Fatalf("reconcile: %v", err)
		}
		if len(w.writes) == 0 {
			return written
		}
		written = append(written, w.writes...)
	}
	w.t.Fatalf("still writing after ten reconciles: %q", written)
	return nil
}

func isRequeue(err error) bool {
	requeue, _ := controller.IsRequeueKey(err)
	return requeue
}

func (w *world) binding() *v1alpha1.LoggerBinding {
	stored, found, _ := w.bindings.GetByKey(namespace + "/payloads")
	if !found {
		w.t.Fatal("there is no binding")
	}
	return stored.(*v1alpha1.LoggerBinding)
}

// owner has the owner change the binding.
func (w *world) owner(change func(*v1alpha1.LoggerBindingSpec)) {
	b := w.binding().DeepCopy()
	change(&b.Spec)
	b.Generation++
	w.put(w.bindings, b)
}

func (w *world) delete() {
	if err := w.bindings.Delete(w.binding()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) service(name string) *servingv1.Service {
	w.t.Helper()
	stored, found, _ := w.services.GetByKey(namespace + "/" + name)
	if !found {
		w.t.Fatalf("there is no Knative Service %q", name)
	}
	return stored.(*servingv1.Service)
}

// create has a user create Knative Services, which become ready.
func (w *world) create(names ...string) {
	for _, name := range names {
		service := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: namespace, UID: types.UID(name), Generation: 1, Annotations: map[string]string{"team": "ai"},
		}}
		service.Spec.Template.Spec.Containers = []corev1.Container{{Image: "model:v1", ReadinessProbe: &corev1.Probe{
			ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/ready"}},
		}}}
		service.SetDefaults(servingconfig.ToContext(apis.WithinCreate(w.ctx), w.serving))
		w.put(w.services, service)
		w.ready(name)
	}
}

// ready has Knative Serving serve the latest Revision alone.
func (w *world) ready(names ...string) {
	for _, name := range names {
		service := w.service(name).DeepCopy()
		revision := fmt.Sprintf("%s-%05d", name, service.Generation)
		service.Status.ObservedGeneration = service.Generation
		service.Status.LatestCreatedRevisionName, service.Status.LatestReadyRevisionName = revision, revision
		service.Status.Conditions = duckv1.Conditions{{Type: apis.ConditionReady, Status: corev1.ConditionTrue}}
		service.Status.Traffic = []servingv1.TrafficTarget{{RevisionName: revision, Percent: ptr.Int64(100)}}
		w.put(w.services, service)
	}
}

// admit has another client write the template of a Knative Service, which passes
// admission, and reports whether it makes a Revision.
func (w *world) admit(name string, template *servingv1.RevisionTemplateSpec) (makesRevision bool) {
	service := w.service(name)
	updated := service.DeepCopy()
	updated.Spec.Template = *template.DeepCopy()
	var all []*v1alpha1.LoggerBinding
	for _, b := range w.bindings.List() {
		all = append(all, b.(*v1alpha1.LoggerBinding))
	}
	updated.Spec.Template = *binding.Admit(service, updated, all, binding.Platform{Config: w.config, Serving: w.serving})
	updated.SetDefaults(servingconfig.ToContext(apis.WithinUpdate(w.ctx, service), w.serving))
	if equality.Semantic.DeepEqual(service.Spec, updated.Spec) {
		return false
	}
	updated.Generation++
	w.put(w.services, updated)
	return true
}

func (w *world) events() (events []string) {
	for {
		select {
		case event := <-w.recorder.Events:
			events = append(events, event)
		default:
			return events
		}
	}
}

func (w *world) assertWritten(got []string, want ...string) {
	w.t.Helper()
	if !slices.Equal(got, want) {
		w.t.Errorf("written: %q, want %q", got, want)
	}
}

func (w *world) assertSaid(condition apis.ConditionType, status corev1.ConditionStatus, reason, message string) {
	w.t.Helper()
	got := w.binding().Status.GetCondition(condition)
	if got == nil || got.Status != status || got.Reason != reason || !strings.Contains(got.Message, message) {
		w.t.Errorf("%s is %+v, want %s %s %q", condition, got, status, reason, message)
	}
}
