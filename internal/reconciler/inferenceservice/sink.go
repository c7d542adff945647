/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inferenceservice

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	"knative.dev/pkg/network"

	"github.com/sidenote-dev/sidenote/internal/knativeservice"
	"github.com/sidenote-dev/sidenote/internal/sinkaddress"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// namedSink is a destination, and how messages call it.
type namedSink struct {
	knativeservice.DesiredSink
	// who names the sink, and field the field with its URL.
	who, field string
}

// planSinks returns the destinations with their addresses, and says in the status
// whether they have one. The dead letter sink is nil if none is named.
func planSinks(is *v1beta1.InferenceService, live Live, cluster *config.Logger, status *v1beta1.InferenceServiceStatus) (sink knativeservice.DesiredSink, deadLetterSink *knativeservice.DesiredSink) {
	named := sinkOf(is, cluster)
	if reason, message := named.accept(is, live.Sink, cluster.AllowedAudiences); reason != "" {
		status.MarkSinkNotResolved(reason, message)
	} else {
		status.MarkSinkResolved()
	}
	letters := deadLetterSinkOf(is)
	if letters == nil {
		status.ClearDeadLetterSink()
		return named.DesiredSink, nil
	}
	if reason, message := letters.accept(is, live.DeadLetterSink, cluster.AllowedAudiences); reason != "" {
		status.MarkDeadLetterSinkNotResolved(reason, message)
	} else {
		status.MarkDeadLetterSinkResolved()
	}
	return named.DesiredSink, &letters.DesiredSink
}

// sinkOf returns the destination that the owner or else the cluster names.
func sinkOf(is *v1beta1.InferenceService, cluster *config.Logger) *namedSink {
	logger := is.Spec.Predictor.Logger
	switch {
	case logger.Sink != nil:
		return newNamedSink(is, *logger.Sink, "the sink", "spec.predictor.logger.sink.uri")
	case logger.URL != nil:
		return newNamedSink(is, duckv1.Destination{URI: logger.URL}, "the sink", "spec.predictor.logger.url")
	default:
		sink := newNamedSink(is, cluster.DefaultSink, "the cluster's default sink", "default-sink of the ConfigMap "+config.LoggerConfigName)
		sink.ByDefault = true
		return sink
	}
}

// deadLetterSinkOf returns the destination of events that the sink doesn't take, or
// nil.
func deadLetterSinkOf(is *v1beta1.InferenceService) *namedSink {
	delivery := is.Spec.Predictor.Logger.Delivery
	if delivery == nil || delivery.DeadLetterSink == nil {
		return nil
	}
	return newNamedSink(is, *delivery.DeadLetterSink, "the dead letter sink", "spec.predictor.logger.delivery.deadLetterSink.uri")
}

func newNamedSink(is *v1beta1.InferenceService, destination duckv1.Destination, who, field string) *namedSink {
	destination = *destination.DeepCopy()
	if destination.Ref != nil && destination.Ref.Namespace == "" {
		destination.Ref.Namespace = is.Namespace
	}
	return &namedSink{DesiredSink: knativeservice.DesiredSink{Destination: destination}, who: who, field: field}
}

// refusal says why a destination may not be resolved. To resolve an object of a
// kind lists all objects of that kind.
func (s *namedSink) refusal() (reason, message string) {
	if err := v1beta1.ValidateAddressable(s.Destination.Ref); err != nil {
		return "SinkNotAddressable", fmt.Sprintf("%s can't be a sink: %v", s.described(), err)
	}
	// Beside a ref it may resolve to an address that is usable.
	if err := v1beta1.ValidateURL(s.Destination.URI); err != nil {
		return "SinkUnusable", fmt.Sprintf("%s has a URL that the agent can't use, in %s: %v", s.described(), s.field, err)
	}
	return "", ""
}

// accept sets the address to what the destination resolved to, without an
// audience that the sink may not have. It says why there is no address.
func (s *namedSink) accept(is *v1beta1.InferenceService, resolved Resolution, allowedAudiences []string) (reason, message string) {
	if reason, message := s.refusal(); reason != "" {
		s.Refused = reason == "SinkNotAddressable"
		return reason, message
	}
	switch {
	case resolved.Err != nil:
		return "NotResolved", fmt.Sprintf("%s has no address: %v; %s", s.described(), resolved.Err, s.remedy())
	case isSelf(is, resolved.Address):
		s.Refused = true
		return "SinkIsSelf", s.described() + " is this service itself, which would receive its own events without end: name another sink"
	}
	if err := unusable(resolved.Address); err != nil {
		return "SinkUnusable", fmt.Sprintf("%s has an address that the agent can't use: %v", s.described(), err)
	}
	s.Address = resolved.Address.DeepCopy()
	if audience := s.Address.Audience; audience != nil && !v1beta1.PermitsAudience(s.Destination, *audience, allowedAudiences) {
		s.Address.Audience = nil
		if *audience != "" {
			return "AudienceRefused", fmt.Sprintf("%s asks for a token for the audience %q, which is not its own: events go out without a token, and a sink that requires one responds with 401; "+
				"correct the audience, or add it to allowed-audiences of the ConfigMap %s", s.described(), *audience, config.LoggerConfigName)
		}
	}
	return "", ""
}

func (s *namedSink) described() string {
	if ref := s.Destination.Ref; ref != nil {
		return fmt.Sprintf("%s, %s %s/%s,", s.who, ref.Kind, ref.Namespace, ref.Name)
	}
	return s.who
}

func (s *namedSink) remedy() string {
	if s.ByDefault {
		return "create it, or name another in spec.predictor.logger.sink"
	}
	return "create it, or name another"
}

// unusable says why an agent given this address would refuse to start, and
// take its model down with it.
func unusable(address *duckv1.Addressable) error {
	if err := v1beta1.ValidateURL(address.URL); err != nil {
		return err
	}
	if _, err := sinkaddress.ParseURL(address.URL.String()); err != nil {
		return err
	}
	if certificates := address.CACerts; certificates != nil && !x509.NewCertPool().AppendCertsFromPEM([]byte(*certificates)) {
		return errors.New("its CACerts contain no certificate in PEM")
	}
	return nil
}

// isSelf reports whether an address leads back to the service. A sink by URL
// shows it only now.
func isSelf(is *v1beta1.InferenceService, address *duckv1.Addressable) bool {
	host := asHost(address.URL)
	own := network.GetServiceHostname(is.ServiceName(v1beta1.PredictorComponent), is.Namespace)
	// A pod of the namespace resolves any leading part of the own name.
	return host == own || strings.HasPrefix(own, host+".") ||
		(is.Status.URL != nil && host == asHost(is.Status.URL))
}

// asHost returns a URL's host as DNS compares it.
func asHost(url *apis.URL) string {
	return strings.ToLower(strings.TrimSuffix(url.URL().Hostname(), "."))
}
