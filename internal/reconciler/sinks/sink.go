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
	// forbidden says why the cluster forbids the destination, or is nil.
	forbidden *config.SinkRefusal
}

// Pair is a sink of a logger, and its dead letter sink or nil.
type Pair struct {
	Name                 string
	Sink, DeadLetterSink *Sink
}

// Of returns the sinks that the logger at a path names, or else the one that the
// cluster names. Namespace is that of the logger's object.
func Of(namespace string, logger *v1beta1.LoggerSpec, path string, cluster *config.Logger) (pairs []Pair) {
	for _, named := range logger.EffectiveSinks() {
		who, letters := "the sink", "the dead letter sink"
		if named.Path() != "" {
			who, letters = fmt.Sprintf("the sink %q", named.Name), fmt.Sprintf("the dead letter sink of %q", named.Name)
		}
		pair := Pair{Name: named.Name}
		field := named.Field("url")
		if named.Sink != nil {
			field = named.Field("sink.uri")
		}
		if destination := named.Destination(); destination != nil {
			pair.Sink = newSink(namespace, *destination, who, path, field)
			pair.Sink.forbidden = cluster.RefuseSink(pair.Sink.Destination, namespace)
		} else {
			pair.Sink = newSink(namespace, cluster.DefaultSink, "the cluster's default sink", path, "")
			pair.Sink.field = "default-sink of the ConfigMap " + config.LoggerConfigName
			pair.Sink.ByDefault = true
		}
		if destination := named.DeadLetterSink(); destination != nil {
			pair.DeadLetterSink = newSink(namespace, *destination, letters, path, named.Field("delivery.deadLetterSink.uri"))
			pair.DeadLetterSink.forbidden = cluster.RefuseSink(pair.DeadLetterSink.Destination, namespace)
		}
		pairs = append(pairs, pair)
	}
	return pairs
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

// Resolutions are the results of resolving the sinks of a logger, by their names.
type Resolutions map[string]PairResolution

// PairResolution has the results of a sink and of its dead letter sink.
type PairResolution struct{ Sink, DeadLetterSink Resolution }

// Resolve finds the addresses of sinks, and has the controller of the parent woken
// when one changes.
func Resolve(ctx context.Context, pairs []Pair, resolver *resolver.URIResolver, parent any) Resolutions {
	resolved := make(Resolutions, len(pairs))
	for _, pair := range pairs {
		resolved[pair.Name] = PairResolution{pair.Sink.resolve(ctx, resolver, parent), pair.DeadLetterSink.resolve(ctx, resolver, parent)}
	}
	return resolved
}

// Accepted are the sinks of a logger with their addresses.
type Accepted struct {
	Desired []knativeservice.DesiredPair
	// Sinks and DeadLetterSinks say what is wrong with any.
	Sinks, DeadLetterSinks Problem
	// HasDeadLetterSinks says that one is named.
	HasDeadLetterSinks bool
	// Unresolved says that one of all has no address.
	Unresolved bool
}

// Problem says why sinks get no events, or is empty.
type Problem struct{ Reason, Message string }

func (p *Problem) add(reason, message string) {
	switch {
	case reason == "":
	case p.Reason == "":
		p.Reason, p.Message = reason, message
	default:
		p.Message += "; " + message
	}
}

// Accept gives sinks the addresses that they resolved to. IsSelf reports whether a
// URL leads back to the service whose events are sent.
func Accept(pairs []Pair, resolved Resolutions, isSelf func(*apis.URL) bool, cluster *config.Logger) (accepted Accepted) {
	for _, pair := range pairs {
		results := resolved[pair.Name]
		accepted.Sinks.add(pair.Sink.accept(results.Sink, isSelf, cluster.AllowedAudiences))
		desired := knativeservice.DesiredPair{Name: pair.Name, Sink: pair.Sink.DesiredSink}
		accepted.Unresolved = accepted.Unresolved || pair.Sink.Address == nil
		if letters := pair.DeadLetterSink; letters != nil {
			accepted.HasDeadLetterSinks = true
			accepted.DeadLetterSinks.add(letters.accept(results.DeadLetterSink, isSelf, cluster.AllowedAudiences))
			desired.DeadLetterSink = &letters.DesiredSink
			accepted.Unresolved = accepted.Unresolved || letters.Address == nil
		}
		accepted.Desired = append(accepted.Desired, desired)
	}
	return accepted
}

// resolve finds the address of a destination, and has the controller of the parent
// woken when it changes. The destination may be nil.
func (s *Sink) resolve(ctx context.Context, resolver *resolver.URIResolver, parent any) (resolved Resolution) {
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
	if s.forbidden != nil {
		return "SinkNotAllowed", fmt.Sprintf("%s gets no event: %s; %s", s.described(), s.forbidden.Message, s.forbidden.Remedy)
	}
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
// audience that the sink may not have. It says why there is no address. IsSelf
// reports whether a URL leads back to the service whose events are sent.
func (s *Sink) accept(resolved Resolution, isSelf func(*apis.URL) bool, allowedAudiences []string) (reason, message string) {
	if reason, message := s.refusal(); reason != "" {
		s.Refused = reason != "SinkUnusable"
		return reason, message
	}
	switch {
	case resolved.Err != nil:
		return "NotResolved", fmt.Sprintf("%s has no address: %v; %s", s.described(), resolved.Err, s.advice())
	case resolved.Address == nil:
		return "NotResolved", fmt.Sprintf("%s has no address yet", s.described())
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
