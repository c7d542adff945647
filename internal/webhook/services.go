/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package webhook

import (
	"context"
	"fmt"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/json"
	"knative.dev/pkg/apis/duck"
	"knative.dev/pkg/configmap"
	"knative.dev/pkg/controller"
	"knative.dev/pkg/logging"
	servingconfig "knative.dev/serving/pkg/apis/config"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/internal/binding"
	"github.com/sidenote-dev/sidenote/internal/knativeconfig"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	bindinginformer "github.com/sidenote-dev/sidenote/pkg/client/injection/informers/bindings/v1alpha1/loggerbinding"
	bindinglisters "github.com/sidenote-dev/sidenote/pkg/client/listers/bindings/v1alpha1"
)

// servicesName is the name of the webhook of Knative Services. The API server calls
// webhooks in the order of the names of their configurations: this one must come
// after Serving's defaulting, webhook.serving.knative.dev.
const servicesName = "webhook.sidenote.dev"

// servicesPath is in the configuration, too.
const servicesPath = "/services"

// NewServicesController makes the mutating webhook that gives Knative Services the
// agent of a LoggerBinding.
func NewServicesController(ctx context.Context, watcher configmap.Watcher) *controller.Impl {
	store := config.NewStore(logging.FromContext(ctx).Named("config-store"))
	store.WatchConfigs(watcher)
	serving := knativeconfig.FollowServing(ctx)
	services := &servicesAdmission{
		caBundle: newCABundle(ctx, servicesName),
		bindings: bindinginformer.Get(ctx).Lister(),
		platform: func() binding.Platform {
			return binding.Platform{Config: store.Load(), Serving: servingconfig.FromContextOrDefaults(serving.ToContext(context.Background()))}
		},
	}
	return services.newController(ctx, services)
}

// servicesAdmission gives Knative Services the agent. It isn't a
// StatelessAdmissionController, so no request reaches it before its caches are
// complete.
type servicesAdmission struct {
	*caBundle
	bindings bindinglisters.LoggerBindingLister
	platform func() binding.Platform
}

// Path implements AdmissionController.
func (*servicesAdmission) Path() string { return servicesPath }

// Admit implements AdmissionController. It never refuses a request: logging must
// not stand in the way of serving.
func (s *servicesAdmission) Admit(ctx context.Context, request *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
	response := &admissionv1.AdmissionResponse{Allowed: true}
	patch, err := s.patch(request)
	switch {
	case err != nil:
		logging.FromContext(ctx).Errorw("A Knative Service is admitted as it is", "namespace", request.Namespace, "name", request.Name, "error", err)
	case len(patch) > 0:
		response.Patch, response.PatchType = patch, new(admissionv1.PatchTypeJSONPatch)
	}
	return response
}

// patch returns the JSON patch that makes the template of a Knative Service what it
// is stored as, or nothing.
func (s *servicesAdmission) patch(request *admissionv1.AdmissionRequest) ([]byte, error) {
	if request.SubResource != "" || (request.Operation != admissionv1.Create && request.Operation != admissionv1.Update) {
		return nil, nil
	}
	updated, err := serviceOf(request, request.Object.Raw)
	if err != nil || updated == nil || updated.DeletionTimestamp != nil {
		return nil, err
	}
	old, err := serviceOf(request, request.OldObject.Raw)
	if err != nil {
		return nil, err
	}
	bindings, err := s.bindings.LoggerBindings(updated.Namespace).List(labels.Everything())
	if err != nil {
		return nil, fmt.Errorf("list the LoggerBindings: %w", err)
	}
	template := binding.Admit(old, updated, bindings, s.platform())

	var before, after map[string]any
	for _, object := range []*map[string]any{&before, &after} {
		if err := json.Unmarshal(request.Object.Raw, object); err != nil {
			return nil, fmt.Errorf("read the Knative Service: %w", err)
		}
	}
	spec, isObject := after["spec"].(map[string]any)
	if !isObject {
		// Serving refuses it.
		return nil, nil
	}
	if spec["template"], err = carryOver(spec["template"], &updated.Spec.Template, template); err != nil {
		return nil, fmt.Errorf("write the template: %w", err)
	}
	patch, err := duck.CreatePatch(before, after)
	if err != nil || len(patch) == 0 {
		return nil, err
	}
	return patch.MarshalJSON()
}

// serviceOf reads the Knative Service of a request, or returns nil if there is none.
func serviceOf(request *admissionv1.AdmissionRequest, raw []byte) (*servingv1.Service, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	service := new(servingv1.Service)
	if err := json.Unmarshal(raw, service); err != nil {
		return nil, fmt.Errorf("read the Knative Service: %w", err)
	}
	if service.Namespace == "" {
		service.Namespace = request.Namespace
	}
	return service, nil
}
