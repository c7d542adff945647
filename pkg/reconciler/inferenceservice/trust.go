/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inferenceservice

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	corev1listers "k8s.io/client-go/listers/core/v1"
	netapi "knative.dev/networking/pkg/apis/networking"
	kubeclient "knative.dev/pkg/client/injection/kube/client"
	"knative.dev/pkg/controller"
	"knative.dev/pkg/system"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/reconciler/inferenceservice/resources"
)

// EventingNamespaceEnv names the environment variable with the namespace that
// Knative Eventing is installed in.
const EventingNamespaceEnv = "EVENTING_NAMESPACE"

const defaultEventingNamespace = "knative-eventing"

// trustSelector selects Knative's trust bundles, as Eventing's own components
// do (knative.dev/eventing/pkg/eventingtls).
var trustSelector = labels.SelectorFromSet(labels.Set{netapi.TrustBundleLabelKey: "true"})

// trustBundles are the ConfigMaps with the certificate authorities that the
// cluster's administrators trust. It is safe for concurrent use.
type trustBundles struct {
	listers []corev1listers.ConfigMapNamespaceLister

	// To parse them for each InferenceService takes too long.
	mu       sync.Mutex
	version  string
	combined resources.Trust
}

// followTrustBundles follows those in Sidenote's own namespace and in
// Eventing's, and in no other: each namespace may have Eventing's copies of
// them. It returns when it knows all that there are.
func followTrustBundles(ctx context.Context, changed func()) (*trustBundles, error) {
	eventing := os.Getenv(EventingNamespaceEnv)
	if eventing == "" {
		eventing = defaultEventingNamespace
	}
	bundles := new(trustBundles)
	for _, namespace := range slices.Compact([]string{eventing, system.Namespace()}) {
		factory := informers.NewSharedInformerFactoryWithOptions(kubeclient.Get(ctx), controller.GetResyncPeriod(ctx),
			informers.WithNamespace(namespace),
			informers.WithTweakListOptions(func(options *metav1.ListOptions) { options.LabelSelector = trustSelector.String() }))
		configMaps := factory.Core().V1().ConfigMaps()
		if _, err := configMaps.Informer().AddEventHandler(controller.HandleAll(func(any) { changed() })); err != nil {
			return nil, fmt.Errorf("follow the trust bundles in %s: %w", namespace, err)
		}
		if err := controller.StartInformers(ctx.Done(), configMaps.Informer()); err != nil {
			return nil, fmt.Errorf("read the trust bundles in %s: %w", namespace, err)
		}
		bundles.listers = append(bundles.listers, configMaps.Lister().ConfigMaps(namespace))
	}
	return bundles, nil
}

// trust gives what they say together.
func (b *trustBundles) trust() (resources.Trust, error) {
	var all []*corev1.ConfigMap
	for _, lister := range b.listers {
		found, err := lister.List(trustSelector)
		if err != nil {
			return resources.Trust{}, fmt.Errorf("list the trust bundles: %w", err)
		}
		all = append(all, found...)
	}
	versions := make([]string, 0, len(all))
	for _, bundle := range all {
		versions = append(versions, string(bundle.UID)+"/"+bundle.ResourceVersion)
	}
	slices.Sort(versions)
	version := strings.Join(versions, " ")

	b.mu.Lock()
	defer b.mu.Unlock()
	if version != b.version {
		b.version, b.combined = version, resources.CombineTrust(all)
	}
	return b.combined, nil
}

// reconcileTrust has running agents get the authorities that the cluster's
// administrators trust, and where the sinks are. Others says that pods of
// another template serve, which keep what they read.
func (r *Reconciler) reconcileTrust(ctx context.Context, is *v1beta1.InferenceService, inForce resources.InForce, wanted resources.Wanted, others bool) error {
	cluster, err := r.trustBundles.trust()
	if err != nil {
		return err
	}
	desired, kept := resources.MakeTrust(is, cluster, inForce, wanted)
	if others {
		kept = append(kept, r.othersKeys(is, desired, kept)...)
	}
	updated, sharedErr := r.reconcileNamespaceTrust(ctx, is.Namespace)
	if updated {
		recordUpdated(ctx, is, resources.NamespaceTrustName, "TrustUpdated")
	}
	err = errors.Join(sharedErr, r.reconcileConfigMap(ctx, is, desired, kept, "TrustUpdated"))
	switch {
	case err != nil:
		is.Status.MarkTrustNotWritten(err)
	case len(desired.Data) == 0 && cluster.PEM == "" && len(cluster.LeftOut) == 0 &&
		!slices.ContainsFunc(kept, func(key string) bool { return r.isFiled(is, key) }):
		is.Status.ClearTrust()
	default:
		is.Status.MarkTrust(cluster.LeftOut)
	}
	return err
}

// maxOthersKeys bounds what Revisions leave that never become ready. Fingerprints
// tell as many keys apart.
const maxOthersKeys = maxFingerprintKeys / 2

// othersKeys gives the keys that running agents have beside the desired ones.
func (r *Reconciler) othersKeys(is *v1beta1.InferenceService, desired *corev1.ConfigMap, kept []string) (keys []string) {
	cached, err := r.configMapLister.ConfigMaps(is.Namespace).Get(desired.Name)
	if err != nil {
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(cached.Data)) {
		if _, isDesired := desired.Data[key]; !isDesired && !slices.Contains(kept, key) && resources.IsTrustKey(key) && len(keys) < maxOthersKeys {
			keys = append(keys, key)
		}
	}
	return keys
}

// isFiled reports whether running agents have a file of that key.
func (r *Reconciler) isFiled(is *v1beta1.InferenceService, key string) bool {
	cached, err := r.configMapLister.ConfigMaps(is.Namespace).Get(is.TrustName(v1beta1.PredictorComponent))
	if err != nil || !metav1.IsControlledBy(cached, is) {
		return false
	}
	_, found := cached.Data[key]
	return found
}

// ObserveDeletion implements reconciler.OnDeletionInterface: what a namespace
// shares goes with its last InferenceService. It is called for a key that no
// InferenceService has, so an event of the shared ConfigMap leads here, too.
func (r *Reconciler) ObserveDeletion(ctx context.Context, key types.NamespacedName) error {
	_, err := r.reconcileNamespaceTrust(ctx, key.Namespace)
	return err
}

// reconcileNamespaceTrust has a namespace have the cluster's authorities as
// long as an InferenceService in it has a logger, or pods from when it had one.
// All of them share one ConfigMap: a bundle can have a megabyte. None of them
// owns it.
func (r *Reconciler) reconcileNamespaceTrust(ctx context.Context, namespace string) (updated bool, err error) {
	cluster, err := r.trustBundles.trust()
	if err != nil {
		return false, err
	}
	all, err := r.inferenceServiceLister.InferenceServices(namespace).List(labels.Everything())
	if err != nil {
		return false, fmt.Errorf("list the InferenceServices of the namespace: %w", err)
	}
	if !slices.ContainsFunc(all, hasLogger) && !r.stillReadsTrust(namespace, all) {
		cluster = resources.Trust{}
	}
	desired := resources.MakeNamespaceTrust(namespace, cluster)
	if len(desired.Data) == 0 {
		return false, r.removeNamespaceTrust(ctx, namespace)
	}
	return r.writeConfigMap(ctx, desired, nil, func(live *corev1.ConfigMap) error {
		if resources.IsNamespaceTrust(live) {
			return nil
		}
		return fmt.Errorf("the ConfigMap %q is not Sidenote's, so the agents of this namespace don't get the cluster's certificate authorities: delete it, and Sidenote makes its own", live.Name)
	})
}

func hasLogger(is *v1beta1.InferenceService) bool {
	return is.Spec.Predictor.Logger != nil && is.DeletionTimestamp == nil
}

// stillReadsTrust reports whether a namespace has the cluster's authorities, and
// InferenceServices without a logger may have pods that read them.
func (r *Reconciler) stillReadsTrust(namespace string, all []*v1beta1.InferenceService) bool {
	if _, err := r.configMapLister.ConfigMaps(namespace).Get(resources.NamespaceTrustName); err != nil {
		return false
	}
	return slices.ContainsFunc(all, func(is *v1beta1.InferenceService) bool {
		if is.DeletionTimestamp != nil {
			return false
		}
		live, err := r.serviceLister.Services(namespace).Get(is.ServiceName(v1beta1.PredictorComponent))
		return err == nil && metav1.IsControlledBy(live, is) && resources.MayHaveAgents(live)
	})
}

func (r *Reconciler) removeNamespaceTrust(ctx context.Context, namespace string) error {
	live, err := r.configMapLister.ConfigMaps(namespace).Get(resources.NamespaceTrustName)
	if apierrors.IsNotFound(err) || (err == nil && !resources.IsNamespaceTrust(live)) {
		return nil
	}
	if err != nil {
		return wrap("get", resources.NamespaceTrustName, err)
	}
	return wrap("delete", live.Name, r.deleteConfigMap(ctx, live))
}
