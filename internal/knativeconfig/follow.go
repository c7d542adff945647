/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package knativeconfig follows the ConfigMaps of Knative Serving that decide
// what a Knative Service may have.
package knativeconfig

import (
	"context"
	"os"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubeclient "knative.dev/pkg/client/injection/kube/client"
	"knative.dev/pkg/configmap/informer"
	"knative.dev/pkg/logging"
	servingconfig "knative.dev/serving/pkg/apis/config"
	autoscalerconfig "knative.dev/serving/pkg/autoscaler/config"
)

// ServingNamespaceEnv names the environment variable with the namespace that
// Knative Serving is installed in.
const ServingNamespaceEnv = "SERVING_NAMESPACE"

const defaultServingNamespace = "knative-serving"

// FollowServing returns a store of Serving's configuration, which calls the
// functions after each change. Where a ConfigMap is missing its defaults hold,
// for Serving may be installed later.
func FollowServing(ctx context.Context, onAfterStore ...func(name string, value any)) *servingconfig.Store {
	logger := logging.FromContext(ctx).Named("serving-config-store")
	namespace := os.Getenv(ServingNamespaceEnv)
	if namespace == "" {
		namespace = defaultServingNamespace
	}
	store := servingconfig.NewStore(logger, onAfterStore...)
	watcher := informer.NewInformedWatcher(kubeclient.Get(ctx), namespace)
	for _, name := range []string{servingconfig.DefaultsConfigName, servingconfig.FeaturesConfigName, autoscalerconfig.ConfigName} {
		empty := corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}}
		watcher.WatchWithDefault(empty, store.OnConfigChanged)
	}
	if err := watcher.Start(ctx.Done()); err != nil {
		logger.Fatalw("Failed to follow the ConfigMaps of Knative Serving", "namespace", namespace, "error", err)
	}
	return store
}
