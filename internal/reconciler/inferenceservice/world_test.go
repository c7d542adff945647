/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inferenceservice

import (
	"context"
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

	"github.com/sidenote-dev/sidenote/internal/knativeservice"
	"github.com/sidenote-dev/sidenote/internal/reconciler/configmaps"
	"github.com/sidenote-dev/sidenote/internal/reconciler/trustbundles"
	"github.com/sidenote-dev/sidenote/internal/sinkaddress"
	. "github.com/sidenote-dev/sidenote/internal/testing/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	fakesidenote "github.com/sidenote-dev/sidenote/pkg/client/clientset/versioned/fake"
	inferenceservicereconciler "github.com/sidenote-dev/sidenote/pkg/client/injection/reconciler/serving/v1beta1/inferenceservice"
	v1beta1listers "github.com/sidenote-dev/sidenote/pkg/client/listers/serving/v1beta1"
)

// world is a cluster in memory: an API server that counts generations and
// resource versions, Knative Serving's webhook before it, informers that are
// always up to date, and objects that can be sinks. Everything in it happens
// in the test's own goroutine.
type world struct {
	t          *testing.T
	ctx        context.Context
	config     *config.Config
	reconciler controller.Reconciler
	tracker    *reconcilertesting.FakeTracker
	recorder   *record.FakeRecorder

	inferenceServices, services, routes, configMaps cache.Indexer
	// fingerprints are what the informer keeps of configMaps.
	fingerprints cache.Indexer
	// bundles are the cluster's trust bundles.
	bundles cache.Indexer
	sinks   map[schema.GroupVersionResource]cache.Indexer

	// refusal is how the API server responds to each write of a Knative Service.
	refusal error
	// writes are those since the last call of reconcile.
	writes          []string
	routeWrites     []string
	resourceVersion int
}

func newIndexer() cache.Indexer {
	return cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
}

func newWorld(t *testing.T, is *v1beta1.InferenceService) *world {
	t.Helper()
	w := &world{
		t: t, tracker: &reconcilertesting.FakeTracker{}, recorder: record.NewFakeRecorder(100),
		inferenceServices: newIndexer(), services: newIndexer(), routes: newIndexer(), configMaps: newIndexer(), fingerprints: newIndexer(), bundles: newIndexer(),
		sinks: make(map[schema.GroupVersionResource]cache.Indexer),
	}
	w.config = config.FromContextOrDefaults(t.Context())
	w.config.Agent.Image = "agent:v1"

	kube, serving, sidenote := fakekube.NewClientset(), fakeserving.NewSimpleClientset(), fakesidenote.NewSimpleClientset()
	serving.PrependReactor("*", "services", w.writeService)
	serving.PrependReactor("*", "routes", w.writeRoute)
	kube.PrependReactor("*", "configmaps", w.writeConfigMap)
	sidenote.PrependReactor("*", "inferenceservices", w.writeStatus)

	w.ctx = logging.WithLogger(t.Context(), zap.NewNop().Sugar())
	w.ctx = context.WithValue(w.ctx, addressable.Key{}, w)
	w.ctx = controller.WithEventRecorder(w.ctx, w.recorder)
	w.reconciler = inferenceservicereconciler.NewReconciler(w.ctx, logging.FromContext(w.ctx), sidenote,
		v1beta1listers.NewInferenceServiceLister(w.inferenceServices), w.recorder,
		&Reconciler{
			kube: kube, serving: serving,
			serviceLister:   servingv1listers.NewServiceLister(w.services),
			routeLister:     servingv1listers.NewRouteLister(w.routes),
			configMapLister: corev1listers.NewConfigMapLister(w.fingerprints),
			readers: configmaps.Readers{
				InferenceServices: v1beta1listers.NewInferenceServiceLister(w.inferenceServices),
				Services:          servingv1listers.NewServiceLister(w.services),
				OfBindings:        corev1listers.NewConfigMapLister(newIndexer()),
			},
			trustBundles: trustbundles.Of(
				corev1listers.NewConfigMapLister(w.bundles).ConfigMaps("knative-eventing"),
				corev1listers.NewConfigMapLister(w.bundles).ConfigMaps("sidenote-system"),
			),
			resolver: resolver.NewURIResolverFromTracker(w.ctx, w.tracker),
		}, controller.Options{ConfigStore: w})
	if err := w.reconciler.(reconciler.LeaderAware).Promote(reconciler.UniversalBucket(), func(reconciler.Bucket, types.NamespacedName) {}); err != nil {
		t.Fatal(err)
	}
	is.SetDefaults(w.ctx)
	w.put(w.inferenceServices, is)
	return w
}

// ToContext implements reconciler.ConfigStore.
func (w *world) ToContext(ctx context.Context) context.Context {
	return config.ToContext(ctx, w.config)
}

// Get implements duck.InformerFactory, for the resolver of sinks.
func (w *world) Get(_ context.Context, resource schema.GroupVersionResource) (cache.SharedIndexInformer, cache.GenericLister, error) {
	if w.sinks[resource] == nil {
		w.sinks[resource] = newIndexer()
	}
	informer := cache.NewSharedIndexInformer(&cache.ListWatch{}, &duckv1.AddressableType{}, 0, cache.Indexers{})
	return informer, cache.NewGenericLister(w.sinks[resource], resource.GroupResource()), nil
}

func (w *world) put(indexer cache.Indexer, object metav1.Object) {
	w.resourceVersion++
	object.SetResourceVersion(fmt.Sprint(w.resourceVersion))
	if err := indexer.Update(object); err != nil {
		w.t.Fatal(err)
	}
	if indexer != w.configMaps {
		return
	}
	// The informer selects by our label.
	if _, labelled := object.GetLabels()[ConfigMapSelector]; !labelled {
		_ = w.fingerprints.Delete(object)
		return
	}
	cached, err := configmaps.Fingerprint(object)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.fingerprints.Update(cached); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) writeService(action clienttesting.Action) (bool, runtime.Object, error) {
	if deletion, isDeletion := action.(clienttesting.DeleteAction); isDeletion && action.GetVerb() == "delete" {
		w.writes = append(w.writes, "delete Knative Service")
		stored, found, _ := w.services.GetByKey(deletion.GetNamespace() + "/" + deletion.GetName())
		if uid := deletion.GetDeleteOptions().Preconditions.UID; !found || *uid != stored.(*servingv1.Service).UID {
			return true, nil, conflict()
		}
		return true, nil, w.services.Delete(stored)
	}
	write, isWrite := action.(clienttesting.UpdateAction)
	if !isWrite || action.GetSubresource() != "" {
		return true, nil, fmt.Errorf("unexpected %s of a Knative Service", action.GetVerb())
	}
	w.writes = append(w.writes, action.GetVerb()+" Knative Service")
	if w.refusal != nil {
		return true, nil, w.refusal
	}
	service := write.GetObject().(*servingv1.Service).DeepCopy()
	stored, _, _ := w.services.GetByKey(service.Namespace + "/" + service.Name)
	if action.GetVerb() == "create" {
		service.Generation = 1
		service.SetDefaults(apis.WithinCreate(w.ctx))
	} else {
		old := stored.(*servingv1.Service)
		if old.ResourceVersion != service.ResourceVersion {
			return true, nil, conflict()
		}
		service.SetDefaults(apis.WithinUpdate(w.ctx, old))
		if equality.Semantic.DeepEqual(old, service) {
			return true, service, nil
		}
		service.Generation = old.Generation
		if !equality.Semantic.DeepEqual(old.Spec, service.Spec) {
			service.Generation++
		}
	}
	if errs := service.Validate(apis.WithinCreate(w.ctx)).Filter(apis.ErrorLevel); errs != nil {
		return true, nil, apierrors.NewBadRequest(errs.Error())
	}
	w.put(w.services, service)
	return true, service.DeepCopy(), nil
}

// writeRoute stores a Knative Route as the API server does.
func (w *world) writeRoute(action clienttesting.Action) (bool, runtime.Object, error) {
	write, isWrite := action.(clienttesting.UpdateAction)
	if !isWrite || action.GetSubresource() != "" {
		return true, nil, fmt.Errorf("unexpected %s of a Knative Route", action.GetVerb())
	}
	w.routeWrites = append(w.routeWrites, action.GetVerb())
	route := write.GetObject().(*servingv1.Route).DeepCopy()
	route.SetDefaults(w.ctx)
	if errs := route.Validate(apis.WithinCreate(w.ctx)).Filter(apis.ErrorLevel); errs != nil {
		return true, nil, apierrors.NewBadRequest(errs.Error())
	}
	route.Generation++
	w.put(w.routes, route)
	return true, route.DeepCopy(), nil
}

// multiContainerProbing switches Serving's feature.
func (w *world) multiContainerProbing(flag servingconfig.Flag) {
	settings := servingconfig.FromContextOrDefaults(w.t.Context())
	settings.Features.MultiContainerProbing = flag
	w.ctx = servingconfig.ToContext(w.ctx, settings)
}

func conflict() error {
	return apierrors.NewConflict(schema.GroupResource{Resource: "services"}, "my-model-predictor-default", fmt.Errorf("changed meanwhile"))
}

func (w *world) writeConfigMap(action clienttesting.Action) (bool, runtime.Object, error) {
	if get, isGet := action.(clienttesting.GetAction); isGet && action.GetVerb() == "get" {
		stored, found, _ := w.configMaps.GetByKey(get.GetNamespace() + "/" + get.GetName())
		if !found {
			return true, nil, apierrors.NewNotFound(corev1.Resource("configmaps"), get.GetName())
		}
		return true, stored.(*corev1.ConfigMap).DeepCopy(), nil
	}
	w.writes = append(w.writes, action.GetVerb()+" ConfigMap")
	switch action := action.(type) {
	case clienttesting.DeleteAction:
		stored, _, _ := w.configMaps.GetByKey(action.GetNamespace() + "/" + action.GetName())
		if err := w.fingerprints.Delete(stored); err != nil {
			return true, nil, err
		}
		return true, nil, w.configMaps.Delete(stored)
	case clienttesting.UpdateAction:
		configMap := action.GetObject().(*corev1.ConfigMap).DeepCopy()
		if stored, found, _ := w.configMaps.GetByKey(configMap.Namespace + "/" + configMap.Name); action.GetVerb() == "update" && (!found || stored.(*corev1.ConfigMap).ResourceVersion != configMap.ResourceVersion) {
			return true, nil, conflict()
		}
		w.put(w.configMaps, configMap)
		return true, configMap.DeepCopy(), nil
	}
	return true, nil, fmt.Errorf("unexpected %s of a ConfigMap", action.GetVerb())
}

func (w *world) writeStatus(action clienttesting.Action) (bool, runtime.Object, error) {
	update, isUpdate := action.(clienttesting.UpdateAction)
	if !isUpdate || action.GetSubresource() != "status" {
		return true, nil, fmt.Errorf("unexpected %s of an InferenceService", action.GetVerb())
	}
	w.writes = append(w.writes, "status")
	is := w.is().DeepCopy()
	is.Status = *update.GetObject().(*v1beta1.InferenceService).Status.DeepCopy()
	w.put(w.inferenceServices, is)
	return true, is.DeepCopy(), nil
}

// reconcile runs the reconciler once. It fails where the reconciler changed an
// object of an informer.
func (w *world) reconcile() error {
	w.t.Helper()
	w.writes = nil
	type held struct{ object, before runtime.Object }
	var informers []held
	for _, indexer := range append([]cache.Indexer{w.inferenceServices, w.services, w.routes, w.configMaps, w.fingerprints, w.bundles}, w.sinkIndexers()...) {
		for _, object := range indexer.List() {
			informers = append(informers, held{object.(runtime.Object), object.(runtime.Object).DeepCopyObject()})
		}
	}
	is := w.is()
	err := w.reconciler.Reconcile(w.ctx, is.Namespace+"/"+is.Name)
	for _, held := range informers {
		if diff := cmp.Diff(held.before, held.object); diff != "" {
			w.t.Errorf("the reconciler changed an informer's object (-before, +after): %s", diff)
		}
	}
	return err
}

func (w *world) sinkIndexers() (indexers []cache.Indexer) {
	for _, indexer := range w.sinks {
		indexers = append(indexers, indexer)
	}
	return indexers
}

// settle reconciles until nothing is written any more, and fails where that
// doesn't come to pass, or an error comes that isn't desired.
func (w *world) settle() []string {
	w.t.Helper()
	var written []string
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

func (w *world) is() *v1beta1.InferenceService {
	return w.inferenceServices.List()[0].(*v1beta1.InferenceService)
}

// owner has the owner change the InferenceService, as it passes the webhook.
func (w *world) owner(options ...Option) {
	is := w.is().DeepCopy()
	before := is.Spec.DeepCopy()
	for _, option := range options {
		option(is)
	}
	is.SetDefaults(w.ctx)
	if !equality.Semantic.DeepEqual(before, &is.Spec) {
		is.Generation++
	}
	w.put(w.inferenceServices, is)
}

// service returns the predictor's Knative Service, or nil.
func (w *world) service() *servingv1.Service { return w.serviceOf(v1beta1.PredictorComponent) }

// serviceOf returns a component's Knative Service, or nil.
func (w *world) serviceOf(component v1beta1.ComponentType) *servingv1.Service {
	stored, found, _ := w.services.GetByKey(Namespace + "/my-model-" + string(component) + "-default")
	if !found {
		return nil
	}
	return stored.(*servingv1.Service)
}

// change has somebody else change the predictor's Knative Service.
func (w *world) change(change func(*servingv1.Service)) {
	w.changeOf(v1beta1.PredictorComponent, change)
}

func (w *world) changeOf(component v1beta1.ComponentType, change func(*servingv1.Service)) {
	service := w.serviceOf(component).DeepCopy()
	before := service.Spec.DeepCopy()
	change(service)
	if !equality.Semantic.DeepEqual(before, &service.Spec) {
		service.Generation++
	}
	w.put(w.services, service)
}

// serve has Knative Serving say of the predictor's Knative Service that it is
// ready.
func (w *world) serve() { w.serveOf(v1beta1.PredictorComponent) }

func (w *world) serveOf(component v1beta1.ComponentType) {
	w.changeOf(component, func(service *servingv1.Service) {
		revision := fmt.Sprintf("%s-%05d", service.Name, service.Generation)
		service.Status.ObservedGeneration = service.Generation
		service.Status.LatestCreatedRevisionName, service.Status.LatestReadyRevisionName = revision, revision
		service.Status.URL = apis.HTTP(service.Name + ".models.example.com")
		service.Status.Address = &duckv1.Addressable{URL: apis.HTTP(service.Name + ".models.svc.cluster.local")}
		service.Status.Conditions = duckv1.Conditions{{Type: apis.ConditionReady, Status: corev1.ConditionTrue}}
	})
}

var (
	brokers         = schema.GroupVersionResource{Group: "eventing.knative.dev", Version: "v1", Resource: "brokers"}
	knativeServices = schema.GroupVersionResource{Group: "serving.knative.dev", Version: "v1", Resource: "services"}
)

// appear has an object appear, or get another address.
func (w *world) appear(resource schema.GroupVersionResource, name string, address duckv1.Addressable) {
	if _, _, err := w.Get(w.ctx, resource); err != nil {
		w.t.Fatal(err)
	}
	object := &duckv1.AddressableType{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: Namespace}}
	object.Status.Address = &address
	w.put(w.sinks[resource], object)
}

func (w *world) disappear(resource schema.GroupVersionResource, name string) {
	stored, _, _ := w.sinks[resource].GetByKey(Namespace + "/" + name)
	if err := w.sinks[resource].Delete(stored); err != nil {
		w.t.Fatal(err)
	}
}

func ingress(path string) duckv1.Addressable {
	return duckv1.Addressable{URL: &apis.URL{Scheme: "http", Host: "broker-ingress.knative-eventing.svc.cluster.local", Path: "/" + Namespace + "/" + path}}
}

func ingressWithAudience(path string) duckv1.Addressable {
	address := ingress(path)
	address.Audience = ptr.String("eventing.knative.dev/broker/models/" + path)
	return address
}

// arguments returns the agent's, or nil without an agent.
func (w *world) arguments() []string {
	for _, container := range w.service().Spec.Template.Spec.Containers {
		if container.Name == v1beta1.AgentContainerName {
			return container.Args
		}
	}
	return nil
}

// mounted returns the content of a file in the agent's volume of addresses and
// authorities, as the kubelet makes it.
func (w *world) mounted(path string) (content string, found bool) {
	return w.mountedBy(w.service(), path)
}

// mountedBy does so for the pods of a Knative Service as it is or was.
func (w *world) mountedBy(service *servingv1.Service, path string) (content string, found bool) {
	read := func(name string, items []corev1.KeyToPath) {
		stored, exists, _ := w.configMaps.GetByKey(Namespace + "/" + name)
		for _, item := range items {
			if !exists || item.Path != path {
				continue
			}
			if value, has := stored.(*corev1.ConfigMap).Data[item.Key]; has {
				content, found = value, true
			}
		}
	}
	for _, volume := range service.Spec.Template.Spec.Volumes {
		switch {
		case volume.Name != "sidenote-trust":
		case volume.ConfigMap != nil:
			read(volume.ConfigMap.Name, volume.ConfigMap.Items)
		case volume.Projected != nil:
			for _, source := range volume.Projected.Sources {
				read(source.ConfigMap.Name, source.ConfigMap.Items)
			}
		}
	}
	return content, found
}

// goesTo returns where an agent that starts now sends what a file says, and else
// an argument, or "".
func (w *world) goesTo(file, argument string) string {
	if content, found := w.mounted(file); found {
		address, err := sinkaddress.Parse([]byte(content))
		if err != nil {
			w.t.Errorf("the agent can't read %s: %v", content, err)
		}
		if address.URL == nil {
			return ""
		}
		return address.URL.String()
	}
	for _, given := range w.arguments() {
		if value, found := strings.CutPrefix(given, argument); found {
			return value
		}
	}
	return ""
}

// sink returns where the agent sends events, or "".
func (w *world) sink() string { return w.goesTo("sink-address", "--sink=") }

// older has the template and its record be those of a controller from before
// there were files with addresses, and a change of the record.
func (w *world) older(change func(*knativeservice.Applied)) {
	w.t.Helper()
	w.change(func(service *servingv1.Service) {
		applied, hash := knativeservice.LastApplied(service)
		for _, pair := range applied.Sinks {
			for _, sink := range []*knativeservice.AppliedSink{pair.Sink, pair.DeadLetterSink} {
				if sink != nil {
					sink.Key, sink.TokenAudience = "", ""
				}
			}
		}
		if change != nil {
			change(applied)
		}
		older := knativeservice.MakeService(knativeservice.ComponentOf(w.is(), v1beta1.PredictorComponent), hash, *applied)
		older.SetDefaults(apis.WithinUpdate(w.ctx, service))
		service.Spec = older.Spec
		service.Annotations[serving.LastAppliedAnnotationKey] = older.Annotations[serving.LastAppliedAnnotationKey]
	})
	w.owner(With(func(is *v1beta1.InferenceService) {
		component := is.Status.Components[v1beta1.PredictorComponent]
		component.ServiceGeneration = w.service().Generation
		is.Status.Components[v1beta1.PredictorComponent] = component
	}))
	w.serve()
}

// hasToken reports whether the pods get a token in a volume of that name.
func (w *world) hasToken(volume string) bool {
	return slices.ContainsFunc(w.service().Spec.Template.Spec.Volumes, func(v corev1.Volume) bool {
		return v.Name == volume && v.Projected != nil && v.Projected.Sources[0].ServiceAccountToken != nil
	})
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

// assertSaid fails unless a condition has this status, reason and part of a
// message.
func (w *world) assertSaid(condition apis.ConditionType, status corev1.ConditionStatus, reason, message string) {
	w.t.Helper()
	got := w.is().Status.GetCondition(condition)
	switch {
	case got == nil:
		w.t.Errorf("%s is absent, want %s %s", condition, status, reason)
	case got.Status != status || got.Reason != reason || !strings.Contains(got.Message, message):
		w.t.Errorf("%s is %s %s %q, want %s %s %q", condition, got.Status, got.Reason, got.Message, status, reason, message)
	}
}

func (w *world) assertWritten(got []string, want ...string) {
	w.t.Helper()
	if !slices.Equal(got, want) {
		w.t.Errorf("written: %q, want %q", got, want)
	}
}

// assertEvents fails unless the Kubernetes events since the last call begin
// with these.
func (w *world) assertEvents(want ...string) {
	w.t.Helper()
	got := w.events()
	if len(got) != len(want) {
		w.t.Errorf("events %q, want %q", got, want)
		return
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			w.t.Errorf("event %q, want one that begins with %q", got[i], want[i])
		}
	}
}

// revisions is how many Revisions Knative Serving would have made.
func (w *world) revisions() int64 { return w.service().Generation }
