/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package sinks resolves the destinations that a logger names, and says why one
// of them gets no events.
package sinks

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"

	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	"knative.dev/pkg/resolver"

	"github.com/sidenote-dev/sidenote/internal/knativeservice"
	"github.com/sidenote-dev/sidenote/internal/sinkaddress"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// Sink is a destination, and how messages call it.
type Sink struct {
	knativeservice.DesiredSink
	// who names the sink, field the field with its URL, and remedy the field in
	// which another one can be named.
	who, field, remedy string
}

// Of returns the destination that the logger at a path or else the cluster names.
// Namespace is that of the logger's object.
func Of(namespace string, logger *v1beta1.LoggerSpec, path string, cluster *config.Logger) *Sink {
	switch {
	case logger.Sink != nil:
		return newSink(namespace, *logger.Sink, "the sink", path, "sink.uri")
	case logger.URL != nil:
		return newSink(namespace, duckv1.Destination{URI: logger.URL}, "the sink", path, "url")
	default:
		sink := newSink(namespace, cluster.DefaultSink, "the cluster's default sink", path, "")
		sink.field = "default-sink of the ConfigMap " + config.LoggerConfigName
		sink.ByDefault = true
		return sink
	}
}

// DeadLetterOf returns the destination of events that the sink doesn't take, or
// nil.
func DeadLetterOf(namespace string, logger *v1beta1.LoggerSpec, path string) *Sink {
	if logger.Delivery == nil || logger.Delivery.DeadLetterSink == nil {
		return nil
	}
	return newSink(namespace, *logger.Delivery.DeadLetterSink, "the dead letter sink", path, "delivery.deadLetterSink.uri")
}

func newSink(namespace string, destination duckv1.Destination, who, path, field string) *Sink {
	destination = *destination.DeepCopy()
	if destination.Ref != nil && destination.Ref.Namespace == "" {
		destination.Ref.Namespace = namespace
	}
	return &Sink{
		DesiredSink: knativeservice.DesiredSink{Destination: destination},
		who:         who, field: path + "." + field, remedy: path + ".sink",
	}
}

// Resolution is the result of resolving a destination. It is empty if the
// destination may not be resolved.
type Resolution struct {
	Address *duckv1.Addressable
	Err     error
}

// Resolve finds the address of a destination, and has the controller of the parent
// woken when it changes. The destination may be nil.
func (s *Sink) Resolve(ctx context.Context, resolver *resolver.URIResolver, parent any) (resolved Resolution) {
	if s == nil {
		return resolved
	}
	if reason, _ := s.refusal(); reason != "" {
		return resolved
	}
	resolved.Address, resolved.Err = resolver.AddressableFromDestinationV1(ctx, s.Destination, parent)
	return resolved
}

// refusal says why a destination may not be resolved. To resolve an object of a
// kind lists all objects of that kind.
func (s *Sink) refusal() (reason, message string) {
	if err := v1beta1.ValidateAddressable(s.Destination.Ref); err != nil {
		return "SinkNotAddressable", fmt.Sprintf("%s can't be a sink: %v", s.described(), err)
	}
	// Beside a ref it may resolve to an address that is usable.
	if err := v1beta1.ValidateURL(s.Destination.URI); err != nil {
		return "SinkUnusable", fmt.Sprintf("%s has a URL that the agent can't use, in %s: %v", s.described(), s.field, err)
	}
	return "", ""
}

// Accept sets the address to what the destination resolved to, without an
// audience that the sink may not have. It says why there is no address. IsSelf
// reports whether a URL leads back to the service whose events are sent.
func (s *Sink) Accept(resolved Resolution, isSelf func(*apis.URL) bool, allowedAudiences []string) (reason, message string) {
	if reason, message := s.refusal(); reason != "" {
		s.Refused = reason == "SinkNotAddressable"
		return reason, message
	}
	switch {
	case resolved.Err != nil:
		return "NotResolved", fmt.Sprintf("%s has no address: %v; %s", s.described(), resolved.Err, s.advice())
	case isSelf(resolved.Address.URL):
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

func (s *Sink) described() string {
	if ref := s.Destination.Ref; ref != nil {
		return fmt.Sprintf("%s, %s %s/%s,", s.who, ref.Kind, ref.Namespace, ref.Name)
	}
	return s.who
}

func (s *Sink) advice() string {
	if s.ByDefault {
		return "create it, or name another in " + s.remedy
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
