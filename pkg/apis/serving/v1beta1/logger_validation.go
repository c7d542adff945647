/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/internal/inference"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// EventKinds are the kinds of event that a logger can send
// (docs/event-contract.md).
var EventKinds = eventKinds()

func eventKinds() (kinds []string) {
	for _, kind := range agentconfig.Kinds() {
		kinds = append(kinds, string(kind))
	}
	return kinds
}

// GreatestMaxPayloadBytes bounds maxPayloadBytes: no Broker takes more.
const GreatestMaxPayloadBytes = 16 << 20

// MaxURLBytes bounds the URL of a sink, which goes into an argument of the
// agent and into annotations of the Knative Service.
const MaxURLBytes = 4 << 10

// ValidateURL says why a URL can't be passed on: it is too long, or has
// characters for which Knative's JSON of it is none.
func ValidateURL(url *apis.URL) error {
	text := url.String()
	if len(text) > MaxURLBytes {
		return fmt.Errorf("it has %d bytes: write at most %d", len(text), MaxURLBytes)
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("it has characters that a URL can't have: percent-encode them, as %20")
	}
	return nil
}

// ValidateAt refuses what the agent can't do. Path is the logger's in its object,
// as in spec.predictor.logger, and annotations are those of the object that the
// logger reads, as far as they are known.
func (s *LoggerSpec) ValidateAt(ctx context.Context, path string, annotations map[string]string) *apis.FieldError {
	return s.validate(ctx, path).ViaField(strings.Split(path, ".")...).Also(s.validateMetadata(ctx, path, annotations))
}

// validate names fields by their path in the logger.
func (s *LoggerSpec) validate(ctx context.Context, path string) *apis.FieldError {
	errs := s.Unknown.Validate(reflect.TypeFor[LoggerSpec](), loggerAdvice)
	errs = errs.Also(validateOneOf(s.Mode, "mode", LogAll, LogRequest, LogResponse))
	errs = errs.Also(validateOneOf(s.MetadataRefresh, "metadataRefresh", RefreshByRevision, RefreshLive))
	errs = errs.Also(validateOneOf(s.ContentMode, "contentMode", ContentModeAuto, ContentModeBinary, ContentModeStructured))
	errs = errs.Also(s.validateSink(ctx))
	errs = errs.Also(validateDelivery(ctx, path, s.Delivery).ViaField("delivery"))
	errs = errs.Also(s.Spool.validate().ViaField("spool"))
	errs = errs.Also(s.validateEvents())
	errs = errs.Also(s.validatePaths())
	agent, resourceErrs := config.FromContextOrDefaults(ctx).Agent.WithResources(s.Resources)
	if resourceErrs != nil {
		return errs.Also(resourceErrs.ViaField("resources"))
	}
	return errs.Also(s.validateMaxPayloadBytes(path, agent))
}

func (s *LoggerSpec) validateMaxPayloadBytes(path string, agent *config.Agent) *apis.FieldError {
	const field = "maxPayloadBytes"
	switch {
	case s.MaxPayloadBytes == nil:
		return nil
	case *s.MaxPayloadBytes < 1, *s.MaxPayloadBytes > GreatestMaxPayloadBytes:
		return apis.ErrOutOfBoundsValue(*s.MaxPayloadBytes, 1, GreatestMaxPayloadBytes, field)
	case *s.MaxPayloadBytes > agent.MostPayloadBytes():
		return apis.ErrInvalidValue(*s.MaxPayloadBytes, field, fmt.Sprintf(
			"the agent's buffer-bytes is %d: write at most half of that, or a higher memory limit in %s.resources.limits.memory", agent.BufferBytes, path))
	}
	return nil
}

func (s *LoggerSpec) validateSink(ctx context.Context) *apis.FieldError {
	if s.Sink != nil && s.URL != nil {
		errs := apis.ErrMultipleOneOf("sink", "url")
		errs.Details = "both specify the sink: remove one of them"
		return errs
	}
	if s.Sink != nil {
		return validateDestination(ctx, s.Sink).ViaField("sink")
	}
	return validateEndpoint(s.URL, "url")
}

func validateDestination(ctx context.Context, destination *duckv1.Destination) *apis.FieldError {
	errs := destination.Validate(ctx)
	switch {
	case errs != nil || destination.URI == nil:
	case destination.Ref == nil:
		errs = validateEndpoint(destination.URI, "uri")
	default:
		errs = validateSendable(destination.URI, "uri")
	}
	if err := ValidateAddressable(destination.Ref); errs == nil && err != nil {
		errs = apis.ErrInvalidValue(destination.Ref.Kind, "ref.kind", err.Error())
	}
	return errs.Also(validateAudience(destination, config.FromContextOrDefaults(ctx).Logger.AllowedAudiences))
}

// validateAudience refuses an audience that no token would be mounted for.
func validateAudience(destination *duckv1.Destination, allowed []string) *apis.FieldError {
	audience := destination.Audience
	if audience == nil || *audience == "" || PermitsAudience(*destination, *audience, allowed) {
		return nil
	}
	return apis.ErrInvalidValue(*audience, "audience", fmt.Sprintf(
		"the sink gets a token for its own audience only: remove it, or add the audience to allowed-audiences of Sidenote's ConfigMap %s", config.LoggerConfigName))
}

func validateEndpoint(endpoint *apis.URL, field string) *apis.FieldError {
	if endpoint == nil {
		return nil
	}
	if err := validateSendable(endpoint, field); err != nil {
		return err
	}
	if (endpoint.Scheme != "http" && endpoint.Scheme != "https") || endpoint.Host == "" {
		return apis.ErrInvalidValue(endpoint.URL().Redacted(), field, "write an absolute URL with http or https, such as http://name.namespace.svc.cluster.local/path")
	}
	return nil
}

// validateSendable refuses what no request can carry, in a URL that may be
// relative.
func validateSendable(url *apis.URL, field string) *apis.FieldError {
	if err := ValidateURL(url); err != nil {
		// What it holds may be a secret.
		return apis.ErrInvalidValue("a URL", field, err.Error())
	}
	if url.Fragment != "" {
		return apis.ErrInvalidValue(url.URL().Redacted(), field, "a fragment is never sent: remove it")
	}
	if url.User != nil {
		return apis.ErrInvalidValue(url.URL().Redacted(), field, "credentials in a URL would be visible in every pod's arguments: remove them")
	}
	return nil
}

func (s *LoggerSpec) validateEvents() (errs *apis.FieldError) {
	for i, kind := range s.Events {
		if !slices.Contains(EventKinds, kind) {
			violation := apis.ErrInvalidArrayValue(kind, "events", i)
			violation.Details = "write one of " + quoted(EventKinds)
			errs = errs.Also(violation)
		}
	}
	return errs
}

func (s *LoggerSpec) validatePaths() (errs *apis.FieldError) {
	for i, pattern := range s.Paths {
		if err := inference.ValidatePattern(pattern); err != nil {
			errs = errs.Also(&apis.FieldError{
				Message: fmt.Sprintf("invalid value: %q", pattern),
				Paths:   []string{fmt.Sprintf("paths[%d]", i)},
				Details: err.Error(),
			})
		}
	}
	if len(s.Paths) > inference.MaxPatterns {
		errs = errs.Also(&apis.FieldError{
			Message: fmt.Sprintf("%d patterns listed: at most %d can be", len(s.Paths), inference.MaxPatterns),
			Paths:   []string{"paths"},
			Details: "write fewer, with * for any characters",
		})
	}
	return errs
}

// MetadataSources returns the annotations that the logger lists, each with the
// attribute that its value goes into.
func (s *LoggerSpec) MetadataSources() []metadata.Source {
	sources := make([]metadata.Source, 0, len(s.MetadataAnnotations)+len(s.Metadata))
	for _, annotation := range s.MetadataAnnotations {
		sources = append(sources, metadata.Source{Attribute: metadata.DefaultName(annotation), Annotation: annotation})
	}
	for _, source := range s.Metadata {
		sources = append(sources, metadata.Source{Attribute: source.Attribute, Annotation: source.Annotation})
	}
	return sources
}

// metadataField returns the field of the source of an index in MetadataSources.
func (s *LoggerSpec) metadataField(index int) string {
	if index < len(s.MetadataAnnotations) {
		return fmt.Sprintf("metadataAnnotations[%d]", index)
	}
	return fmt.Sprintf("metadata[%d]", index-len(s.MetadataAnnotations))
}

// validateMetadata refuses annotations that can't or must not become
// attributes: by their names, by the cluster's list, and by the values that
// the object gives them now.
func (s *LoggerSpec) validateMetadata(ctx context.Context, path string, annotations map[string]string) (errs *apis.FieldError) {
	fieldOf := func(index int) string { return path + "." + s.metadataField(index) }
	denied := config.FromContextOrDefaults(ctx).Logger.DeniedAnnotations
	firstWith := make(map[string]int)
	sources := s.MetadataSources()
	for i, source := range sources {
		field := fieldOf(i)
		if source.Annotation == "" {
			errs = errs.Also(&apis.FieldError{Message: "empty annotation key", Paths: []string{field}, Details: "write the key of an annotation, or remove the entry"})
			continue
		}
		if pattern, found := denied.Match(source.Annotation); found {
			errs = errs.Also(&apis.FieldError{
				Message: fmt.Sprintf("annotation %q must not be sent", source.Annotation),
				Paths:   []string{field},
				Details: fmt.Sprintf("the cluster's %s denies %q: list another annotation", config.LoggerConfigName, pattern),
			})
			continue
		}
		if err := metadata.ValidateName(source.Attribute); err != nil {
			errs = errs.Also(&apis.FieldError{
				Message: fmt.Sprintf("annotation %q can't become an attribute: %v", source.Annotation, err),
				Paths:   []string{field},
				Details: fmt.Sprintf("name the attribute in %s.metadata: {attribute: NAME, annotation: %s}", path, source.Annotation),
			})
			continue
		}
		if first, found := firstWith[source.Attribute]; found {
			errs = errs.Also(&apis.FieldError{
				Message: fmt.Sprintf("annotations %q and %q both give the attribute %q", sources[first].Annotation, source.Annotation, source.Attribute),
				Paths:   []string{fieldOf(first), field},
				Details: fmt.Sprintf("remove one, or name its attribute in %s.metadata: {attribute: NAME, annotation: %s}", path, source.Annotation),
			})
			continue
		}
		firstWith[source.Attribute] = i
		if err := metadata.ValidateValue(annotations[source.Annotation]); err != nil {
			errs = errs.Also(&apis.FieldError{
				Message: fmt.Sprintf("annotation %q can't become an attribute: %v", source.Annotation, err),
				Paths:   []string{"metadata.annotations[" + source.Annotation + "]", field},
				Details: "change the value, or don't list the annotation",
			})
		}
	}
	if errs != nil {
		return errs
	}
	if len(sources) > metadata.MaxAttributes {
		return &apis.FieldError{
			Message: fmt.Sprintf("%d annotations listed: at most %d can go into an event", len(sources), metadata.MaxAttributes),
			Paths:   []string{path + ".metadataAnnotations", path + ".metadata"},
			Details: "list fewer",
		}
	}
	attributes, _ := metadata.Select(annotations, sources)
	if err := metadata.Validate(attributes); err != nil {
		return &apis.FieldError{Message: err.Error(), Paths: []string{"metadata.annotations"}, Details: "shorten the values, or list fewer annotations"}
	}
	return nil
}

// ValidateSinksAreNot refuses a sink or dead letter sink that is the service
// itself, which would feed itself without end.
func (s *LoggerSpec) ValidateSinksAreNot(isService func(*duckv1.KReference) bool, path string) (errs *apis.FieldError) {
	refuse := func(who, field string, destination *duckv1.Destination) {
		if destination == nil || destination.Ref == nil || !isService(destination.Ref) {
			return
		}
		errs = errs.Also(&apis.FieldError{
			Message: who + " is the service itself, which would receive its own events without end",
			Paths:   []string{path + "." + field + ".ref"},
			Details: "name another sink",
		})
	}
	refuse("the sink", "sink", s.Sink)
	if s.Delivery != nil {
		refuse("the dead letter sink", "delivery.deadLetterSink", s.Delivery.DeadLetterSink)
	}
	return errs
}

// isReferredTo says whether a sink names the service or one of its components.
func (is *InferenceService) isReferredTo(ref *duckv1.KReference) bool {
	if is.Name == "" || (ref.Namespace != "" && ref.Namespace != is.Namespace) {
		return false
	}
	kind := schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind).GroupKind()
	return (kind == Kind("InferenceService") && ref.Name == is.Name) ||
		(kind == servingv1.Kind("Service") && slices.ContainsFunc(is.Spec.Components(), func(component ComponentType) bool {
			return ref.Name == is.ServiceName(component)
		}))
}
