/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package v1beta1 builds the InferenceServices that tests speak of, each as a
// sentence of options.
package v1beta1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	eventingduckv1 "knative.dev/eventing/pkg/apis/duck/v1"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// What every InferenceService of these builders has, where no option says
// otherwise.
const (
	Namespace = "models"
	Image     = "registry.example/model:v1"
)

// Option changes an InferenceService.
type Option func(*v1beta1.InferenceService)

// InferenceService builds one of a lone container with an image and nothing
// else, as it is before the webhook has seen it.
func InferenceService(name string, options ...Option) *v1beta1.InferenceService {
	is := &v1beta1.InferenceService{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: Namespace, UID: types.UID("uid-of-" + name), Generation: 1},
	}
	is.Spec.Predictor.Containers = []corev1.Container{{Image: Image}}
	for _, option := range options {
		option(is)
	}
	return is
}

// Seed builds the example that design.md calls the contract.
func Seed(options ...Option) *v1beta1.InferenceService {
	return InferenceService("my-model", append([]Option{
		WithAnnotation("team", "ai-platform"),
		WithAnnotation("owner", "ml-ops"),
		WithAnnotation("version", "v2.1.0"),
		WithPort("", 8080),
		WithLogger(WithMode(v1beta1.LogAll), WithMetadataAnnotations("team", "owner")),
	}, options...)...)
}

// With is an option that says itself what it does.
func With(change func(*v1beta1.InferenceService)) Option { return change }

// WithName renames it.
func WithName(name string) Option {
	return func(is *v1beta1.InferenceService) { is.Name = name }
}

// WithGeneration gives it a generation.
func WithGeneration(generation int64) Option {
	return func(is *v1beta1.InferenceService) { is.Generation = generation }
}

// WithDeletion has it being deleted.
func WithDeletion() Option {
	return func(is *v1beta1.InferenceService) { now := metav1.Now(); is.DeletionTimestamp = &now }
}

// WithAnnotation gives it an annotation.
func WithAnnotation(key, value string) Option {
	return func(is *v1beta1.InferenceService) { metav1.SetMetaDataAnnotation(&is.ObjectMeta, key, value) }
}

// WithoutAnnotation takes an annotation from it.
func WithoutAnnotation(key string) Option {
	return func(is *v1beta1.InferenceService) { delete(is.Annotations, key) }
}

// WithLabel gives it a label.
func WithLabel(key, value string) Option {
	return func(is *v1beta1.InferenceService) { metav1.SetMetaDataLabel(&is.ObjectMeta, key, value) }
}

// WithImage gives its first container an image.
func WithImage(image string) Option {
	return WithModel(func(model *corev1.Container) { model.Image = image })
}

// WithPort gives its first container this port alone.
func WithPort(name string, number int32) Option {
	return WithModel(func(model *corev1.Container) {
		model.Ports = []corev1.ContainerPort{{Name: name, ContainerPort: number}}
	})
}

// WithModel changes its first container.
func WithModel(change func(*corev1.Container)) Option {
	return func(is *v1beta1.InferenceService) { change(&is.Spec.Predictor.Containers[0]) }
}

// WithContainers gives it these containers and no others.
func WithContainers(containers ...corev1.Container) Option {
	return func(is *v1beta1.InferenceService) { is.Spec.Predictor.Containers = containers }
}

// WithSidecar adds a container.
func WithSidecar(container corev1.Container) Option {
	return WithPredictor(func(predictor *v1beta1.PredictorSpec) {
		predictor.Containers = append(predictor.Containers, container)
	})
}

// WithPredictor changes its predictor.
func WithPredictor(change func(*v1beta1.PredictorSpec)) Option {
	return func(is *v1beta1.InferenceService) { change(&is.Spec.Predictor) }
}

// WithTransformer gives it a transformer, with a logger if there are options of
// one.
func WithTransformer(image string, options ...LoggerOption) Option {
	return func(is *v1beta1.InferenceService) { is.Spec.Transformer = component(image, options) }
}

// WithoutTransformer takes its transformer away.
func WithoutTransformer() Option {
	return func(is *v1beta1.InferenceService) { is.Spec.Transformer = nil }
}

// WithExplainer gives it an explainer, with a logger if there are options of one.
func WithExplainer(image string, options ...LoggerOption) Option {
	return func(is *v1beta1.InferenceService) { is.Spec.Explainer = component(image, options) }
}

func component(image string, options []LoggerOption) *v1beta1.PredictorSpec {
	spec := &v1beta1.PredictorSpec{}
	spec.Containers = []corev1.Container{{Image: image}}
	for _, option := range options {
		if spec.Logger == nil {
			spec.Logger = &v1beta1.LoggerSpec{}
		}
		option(spec.Logger)
	}
	return spec
}

// WithReplicas bounds its pods.
func WithReplicas(least, greatest int32) Option {
	return WithPredictor(func(predictor *v1beta1.PredictorSpec) {
		predictor.MinReplicas, predictor.MaxReplicas = &least, &greatest
	})
}

// WithScale says what its autoscaler aims at.
func WithScale(target int32, metric v1beta1.ScaleMetric) Option {
	return WithPredictor(func(predictor *v1beta1.PredictorSpec) {
		predictor.ScaleTarget, predictor.ScaleMetric = &target, metric
	})
}

// WithTimeout says how many seconds a request may take.
func WithTimeout(seconds int64) Option {
	return WithPredictor(func(predictor *v1beta1.PredictorSpec) { predictor.Timeout = &seconds })
}

// WithoutLogger takes its logger away.
func WithoutLogger() Option {
	return WithPredictor(func(predictor *v1beta1.PredictorSpec) { predictor.Logger = nil })
}

// LoggerOption changes a logger.
type LoggerOption func(*v1beta1.LoggerSpec)

// WithLogger changes its logger, and gives it one first where it has none.
func WithLogger(options ...LoggerOption) Option {
	return WithPredictor(func(predictor *v1beta1.PredictorSpec) {
		if predictor.Logger == nil {
			predictor.Logger = &v1beta1.LoggerSpec{}
		}
		for _, option := range options {
			option(predictor.Logger)
		}
	})
}

// WithMode says which side of an exchange is sent.
func WithMode(mode v1beta1.LoggerMode) LoggerOption {
	return func(logger *v1beta1.LoggerSpec) { logger.Mode = mode }
}

// WithRefresh says when a changed annotation reaches the events.
func WithRefresh(refresh v1beta1.MetadataRefresh) LoggerOption {
	return func(logger *v1beta1.LoggerSpec) { logger.MetadataRefresh = refresh }
}

// WithMetadataAnnotations lists annotations.
func WithMetadataAnnotations(annotations ...string) LoggerOption {
	return func(logger *v1beta1.LoggerSpec) { logger.MetadataAnnotations = annotations }
}

// WithMetadata lists an annotation with its attribute's name.
func WithMetadata(attribute, annotation string) LoggerOption {
	return func(logger *v1beta1.LoggerSpec) {
		logger.Metadata = append(logger.Metadata, v1beta1.MetadataSource{Attribute: attribute, Annotation: annotation})
	}
}

// WithEvents lists the kinds of event that are sent.
func WithEvents(kinds ...string) LoggerOption {
	return func(logger *v1beta1.LoggerSpec) { logger.Events = kinds }
}

// WithPaths says which paths are inference.
func WithPaths(patterns ...string) LoggerOption {
	return func(logger *v1beta1.LoggerSpec) { logger.Paths = patterns }
}

// WithContentMode says how events are put on the wire.
func WithContentMode(mode v1beta1.ContentMode) LoggerOption {
	return func(logger *v1beta1.LoggerSpec) { logger.ContentMode = mode }
}

// WithMaxPayloadBytes bounds the body that an event carries.
func WithMaxPayloadBytes(bytes int64) LoggerOption {
	return func(logger *v1beta1.LoggerSpec) { logger.MaxPayloadBytes = &bytes }
}

// WithDelivery says how events are sent again.
func WithDelivery(delivery eventingduckv1.DeliverySpec) LoggerOption {
	return func(logger *v1beta1.LoggerSpec) { logger.Delivery = &delivery }
}

// WithDeadLetterURI names the dead letter sink by its URI.
func WithDeadLetterURI(uri string) LoggerOption {
	return WithDelivery(eventingduckv1.DeliverySpec{DeadLetterSink: &duckv1.Destination{URI: mustParse(uri)}})
}

// WithDeadLetterBroker names a Broker of its own namespace as the dead letter
// sink.
func WithDeadLetterBroker(name string) LoggerOption {
	return WithDelivery(eventingduckv1.DeliverySpec{DeadLetterSink: &duckv1.Destination{Ref: &duckv1.KReference{
		APIVersion: "eventing.knative.dev/v1", Kind: "Broker", Name: name,
	}}})
}

// WithSpool gives the agent a volume of a size for what memory has no room for.
func WithSpool(sizeLimit string) LoggerOption {
	return func(logger *v1beta1.LoggerSpec) {
		size := resource.MustParse(sizeLimit)
		logger.Spool = &v1beta1.SpoolSpec{SizeLimit: &size}
	}
}

// WithSpoolDropping says what the spool drops when it is full.
func WithSpoolDropping(overflow v1beta1.SpoolOverflow) LoggerOption {
	return func(logger *v1beta1.LoggerSpec) { logger.Spool.WhenFull = overflow }
}

// WithURL names the sink by url.
func WithURL(url string) LoggerOption {
	return func(logger *v1beta1.LoggerSpec) { logger.URL = mustParse(url) }
}

// WithSinkURI names the sink by sink.uri.
func WithSinkURI(uri string) LoggerOption {
	return func(logger *v1beta1.LoggerSpec) { logger.Sink = &duckv1.Destination{URI: mustParse(uri)} }
}

// WithBroker names a Broker of its own namespace as the sink.
func WithBroker(name string) LoggerOption {
	return WithSinkRef("eventing.knative.dev/v1", "Broker", "", name)
}

// WithSinkRef names an object as the sink.
func WithSinkRef(apiVersion, kind, namespace, name string) LoggerOption {
	return func(logger *v1beta1.LoggerSpec) {
		logger.Sink = &duckv1.Destination{Ref: &duckv1.KReference{
			APIVersion: apiVersion, Kind: kind, Namespace: namespace, Name: name,
		}}
	}
}

func mustParse(text string) *apis.URL {
	url, err := apis.ParseURL(text)
	if err != nil {
		panic(err)
	}
	return url
}
