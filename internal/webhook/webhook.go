/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package webhook admits InferenceServices, LoggerBindings and Sidenote's
// ConfigMaps: it defaults, and refuses with a message that names the field and the
// remedy. It also adds the agent of a LoggerBinding to Knative Services.
package webhook

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"knative.dev/pkg/apis"
	"knative.dev/pkg/configmap"
	"knative.dev/pkg/controller"
	"knative.dev/pkg/leaderelection"
	"knative.dev/pkg/logging"
	knativewebhook "knative.dev/pkg/webhook"
	"knative.dev/pkg/webhook/configmaps"
	"knative.dev/pkg/webhook/resourcesemantics"
	"knative.dev/pkg/webhook/resourcesemantics/defaulting"
	"knative.dev/pkg/webhook/resourcesemantics/validation"

	"github.com/sidenote-dev/sidenote/internal/knativeconfig"
	"github.com/sidenote-dev/sidenote/internal/knativeservice"
	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

var (
	inferenceService = v1beta1.SchemeGroupVersion.WithKind("InferenceService")
	loggerBinding    = v1alpha1.SchemeGroupVersion.WithKind("LoggerBinding")
)

// NewDefaultingController makes the mutating webhook. It works on the object
// as it came, so that a field that the Go type lacks reaches validation.
func NewDefaultingController(ctx context.Context, _ configmap.Watcher) *controller.Impl {
	return defaulting.NewAdmissionController(ctx,
		"webhook.serving.kubeflow.org",
		"/defaulting",
		nil,
		nil,
		false,
		map[schema.GroupVersionKind]defaulting.Callback{
			inferenceService: defaulting.NewCallback(setDefaults, knativewebhook.Create, knativewebhook.Update),
			loggerBinding:    defaulting.NewCallback(setDefaults, knativewebhook.Create, knativewebhook.Update),
		},
	)
}

// NewValidationController makes the validating webhook. It also asks Knative
// Serving's own validation, as the cluster has configured it.
func NewValidationController(ctx context.Context, watcher configmap.Watcher) *controller.Impl {
	logger := logging.FromContext(ctx)
	store := config.NewStore(logger.Named("config-store"))
	store.WatchConfigs(watcher)
	serving := knativeconfig.FollowServing(ctx)

	return validation.NewAdmissionController(ctx,
		"validation.webhook.serving.kubeflow.org",
		"/resource-validation",
		map[schema.GroupVersionKind]resourcesemantics.GenericCRD{
			inferenceService: &v1beta1.InferenceService{},
			loggerBinding:    &v1alpha1.LoggerBinding{},
		},
		func(ctx context.Context) context.Context {
			ctx = serving.ToContext(store.ToContext(ctx))
			ctx = apis.AllowDifferentNamespace(ctx)
			return v1beta1.WithChildValidation(ctx, knativeservice.Validate)
		},
		false,
		map[schema.GroupVersionKind]validation.Callback{
			inferenceService: validation.NewCallback(reviewSinks, knativewebhook.Create, knativewebhook.Update),
			loggerBinding:    validation.NewCallback(reviewSinks, knativewebhook.Create, knativewebhook.Update),
		},
	)
}

// NewConfigValidationController makes the webhook that refuses a ConfigMap of
// Sidenote's that can't be read.
func NewConfigValidationController(ctx context.Context, _ configmap.Watcher) *controller.Impl {
	constructors := config.Constructors()
	constructors[logging.ConfigMapName()] = logging.NewConfigFromConfigMap
	constructors[leaderelection.ConfigMapName()] = leaderelection.NewConfigFromConfigMap
	return configmaps.NewAdmissionController(ctx, "config.webhook.serving.kubeflow.org", "/config-validation", constructors)
}
