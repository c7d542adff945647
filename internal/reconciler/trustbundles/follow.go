/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package trustbundles follows the ConfigMaps with the certificate authorities
// that the administrators of the cluster trust.
package trustbundles

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	corev1listers "k8s.io/client-go/listers/core/v1"
	netapi "knative.dev/networking/pkg/apis/networking"
	kubeclient "knative.dev/pkg/client/injection/kube/client"
	"knative.dev/pkg/controller"
	"knative.dev/pkg/system"

	"github.com/sidenote-dev/sidenote/internal/knativeservice"
)

// EventingNamespaceEnv names the environment variable with the namespace that
// Knative Eventing is installed in.
const EventingNamespaceEnv = "EVENTING_NAMESPACE"

const defaultEventingNamespace = "knative-eventing"

// selector selects Knative's trust bundles, as Eventing's own components
// do (knative.dev/eventing/pkg/eventingtls).
var selector = labels.SelectorFromSet(labels.Set{netapi.TrustBundleLabelKey: "true"})

// Bundles are these ConfigMaps. It is safe for concurrent use.
type Bundles struct {
	listers []corev1listers.ConfigMapNamespaceLister

	// Parsing them for each reconciliation takes too long.
	mu       sync.Mutex
	version  string
	combined knativeservice.Trust
}

// Follow watches the bundles in Sidenote's own namespace and in
// Eventing's. It watches no other namespace, because Eventing copies the bundles
// to each of them. It returns when the cache is complete.
func Follow(ctx context.Context, changed func()) (*Bundles, error) {
	eventing := os.Getenv(EventingNamespaceEnv)
	if eventing == "" {
		eventing = defaultEventingNamespace
	}
	var listers []corev1listers.ConfigMapNamespaceLister
	for _, namespace := range slices.Compact([]string{eventing, system.Namespace()}) {
		factory := informers.NewSharedInformerFactoryWithOptions(kubeclient.Get(ctx), controller.GetResyncPeriod(ctx),
			informers.WithNamespace(namespace),
			informers.WithTweakListOptions(func(options *metav1.ListOptions) { options.LabelSelector = selector.String() }))
		configMaps := factory.Core().V1().ConfigMaps()
		if _, err := configMaps.Informer().AddEventHandler(controller.HandleAll(func(any) { changed() })); err != nil {
			return nil, fmt.Errorf("follow the trust bundles in %s: %w", namespace, err)
		}
		if err := controller.StartInformers(ctx.Done(), configMaps.Informer()); err != nil {
			return nil, fmt.Errorf("read the trust bundles in %s: %w", namespace, err)
		}
		listers = append(listers, configMaps.Lister().ConfigMaps(namespace))
	}
	return Of(listers...), nil
}

// Of returns the bundles of some namespaces.
func Of(listers ...corev1listers.ConfigMapNamespaceLister) *Bundles {
	return &Bundles{listers: listers}
}

// Trust combines the bundles.
func (b *Bundles) Trust() (knativeservice.Trust, error) {
	var all []*corev1.ConfigMap
	for _, lister := range b.listers {
		found, err := lister.List(selector)
		if err != nil {
			return knativeservice.Trust{}, fmt.Errorf("list the trust bundles: %w", err)
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
		b.version, b.combined = version, knativeservice.CombineTrust(all)
	}
	return b.combined, nil
}
