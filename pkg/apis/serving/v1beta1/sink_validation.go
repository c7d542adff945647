/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/pkg/apis/config"
)

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

// validateSinks refuses sinks that no agent could have. Path is the logger's in its
// object.
func (s *LoggerSpec) validateSinks(ctx context.Context, path string) (errs *apis.FieldError) {
	const sinks = "sinks"
	if len(s.Sinks) == 0 {
		errs = validateSinkOrURL(ctx, s.Sink, s.URL)
	} else if s.Sink != nil || s.URL != nil {
		errs = apis.ErrMultipleOneOf("sink", "url", sinks)
		errs.Details = "write all sinks under sinks, each with a name"
	}
	if len(s.Sinks) > MaxSinks {
		errs = errs.Also(&apis.FieldError{
			Message: fmt.Sprintf("%d sinks listed: at most %d can be", len(s.Sinks), MaxSinks),
			Paths:   []string{sinks},
			Details: "write fewer, and let a Broker with Triggers distribute the events",
		})
	}
	firstWith := make(map[string]int)
	for i := range s.Sinks {
		sink := &s.Sinks[i]
		errs = errs.Also(sink.validate(ctx, fmt.Sprintf("%s.%s[%d]", path, sinks, i)).ViaFieldIndex(sinks, i))
		if first, found := firstWith[sink.Name]; found && sink.Name != "" {
			errs = errs.Also(&apis.FieldError{
				Message: fmt.Sprintf("two sinks have the name %q", sink.Name),
				Paths:   []string{fmt.Sprintf("%s[%d].name", sinks, first), fmt.Sprintf("%s[%d].name", sinks, i)},
				Details: "rename one of them",
			})
			continue
		}
		firstWith[sink.Name] = i
	}
	for _, sink := range s.EffectiveSinks() {
		if reason := sink.RefuseAuth(); reason != "" {
			errs = errs.Also(&apis.FieldError{Message: "auth can't be used", Paths: []string{sink.Field("auth")}, Details: reason})
		}
	}
	return errs
}

// validate names fields by their path in the sink. Path is the sink's in its
// object.
func (s *LoggerSink) validate(ctx context.Context, path string) *apis.FieldError {
	errs := validateSinkName(s.Name)
	if s.Sink == nil && s.URL == nil {
		missing := apis.ErrMissingOneOf("sink", "url")
		missing.Details = "write sink: {ref: …} for an object of the cluster, or url"
		errs = errs.Also(missing)
	}
	errs = errs.Also(validateSinkOrURL(ctx, s.Sink, s.URL))
	errs = errs.Also(validateOneOf(s.Mode, "mode", LogAll, LogRequest, LogResponse))
	errs = errs.Also(validateEvents(s.Events))
	errs = errs.Also(validateOneOf(s.Profile, "profile", ProfileSidenote, ProfileKServe))
	errs = errs.Also(validateFilter(s.Filter).ViaField("filter"))
	errs = errs.Also(s.Auth.validate().ViaField("auth"))
	errs = errs.Also(validateDelivery(ctx, path, s.Delivery).ViaField("delivery"))
	return errs.Also(s.Spool.validate().ViaField("spool"))
}

func validateSinkName(name string) *apis.FieldError {
	if name == "" {
		missing := apis.ErrMissingField("name")
		missing.Details = "write a name of a-z, 0-9 and -, such as audit: metrics and the status call the sink by it"
		return missing
	}
	if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
		return apis.ErrInvalidValue(name, "name", strings.Join(problems, "; "))
	}
	return nil
}

func validateSinkOrURL(ctx context.Context, sink *duckv1.Destination, url *apis.URL) *apis.FieldError {
	switch {
	case sink != nil && url != nil:
		errs := apis.ErrMultipleOneOf("sink", "url")
		errs.Details = "both specify the sink: remove one of them"
		return errs
	case sink != nil:
		return validateDestination(ctx, sink).ViaField("sink")
	default:
		return validateEndpoint(url, "url").Also(validateMaySend(ctx, &duckv1.Destination{URI: url}, "url"))
	}
}

func validateDestination(ctx context.Context, destination *duckv1.Destination) *apis.FieldError {
	// The cluster decides which namespaces a sink may be in: see validateMaySend.
	errs := destination.Validate(apis.AllowDifferentNamespace(ctx))
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
	field := "uri"
	if destination.Ref != nil {
		field = "ref"
	}
	errs = errs.Also(validateMaySend(ctx, destination, field))
	return errs.Also(validateAudience(destination, config.FromContextOrDefaults(ctx).Logger.AllowedAudiences))
}

// validateMaySend refuses a destination that the cluster's rules forbid to the
// namespace of the object.
func validateMaySend(ctx context.Context, destination *duckv1.Destination, field string) *apis.FieldError {
	refusal := config.FromContextOrDefaults(ctx).Logger.RefuseSink(*destination, apis.ParentMeta(ctx).Namespace)
	if refusal == nil {
		return nil
	}
	return &apis.FieldError{Message: refusal.Message, Paths: []string{field}, Details: refusal.Remedy}
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
	for i := range s.Sinks {
		sink, field := &s.Sinks[i], fmt.Sprintf("sinks[%d].", i)
		refuse("the sink", field+"sink", sink.Sink)
		if sink.Delivery != nil {
			refuse("the dead letter sink", field+"delivery.deadLetterSink", sink.Delivery.DeadLetterSink)
		}
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
