/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	duckv1 "knative.dev/pkg/apis/duck/v1"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

const (
	// MaxSinks bounds the sinks of a logger.
	MaxSinks = 8
	// DefaultSinkName is the name of the sink of a logger without sinks.
	DefaultSinkName = agentconfig.DefaultSinkName
)

// EffectiveSink is a sink of a logger with the values that hold for it.
//
// +k8s:deepcopy-gen=false
type EffectiveSink struct {
	// LoggerSink has the values. It has neither sink nor url if the cluster's
	// default is the sink.
	LoggerSink
	// own is the path of the sink in its logger, as sinks[1], or "" for the one sink
	// of a logger without sinks.
	own string
	// inherited are the fields that the sink has from its logger.
	inherited []string
}

// EffectiveSinks returns the sinks of a logger: those of sinks, or one with the
// name default. A field that a sink lacks has the value of the logger's field,
// but credentials go to no sink that is an object of the cluster: it gets a token
// of the pod's service account. Sinks that validation refuses by their names are
// left out, should an object have them all the same.
func (s *LoggerSpec) EffectiveSinks() []EffectiveSink {
	if len(s.Sinks) == 0 {
		return []EffectiveSink{{LoggerSink: LoggerSink{
			Name: DefaultSinkName, Sink: s.Sink, URL: s.URL,
			Mode: s.Mode, Events: s.Events, Profile: s.Profile, Filter: s.Filter,
			Auth: s.Auth, Delivery: s.Delivery, Spool: s.Spool,
		}}}
	}
	unusable := s.UnusableSinks()
	sinks := make([]EffectiveSink, 0, len(s.Sinks))
	for i, own := range s.Sinks {
		if _, isUnusable := unusable[i]; isUnusable {
			continue
		}
		sink := EffectiveSink{LoggerSink: own, own: fmt.Sprintf("sinks[%d]", i)}
		inherit := func(field string, isAbsent bool, take func()) {
			if isAbsent {
				take()
				sink.inherited = append(sink.inherited, field)
			}
		}
		inherit("mode", own.Mode == "", func() { sink.Mode = s.Mode })
		inherit("events", len(own.Events) == 0, func() { sink.Events = s.Events })
		inherit("profile", own.Profile == "", func() { sink.Profile = s.Profile })
		inherit("filter", own.Filter == nil, func() { sink.Filter = s.Filter })
		inherit("auth", own.Auth == nil && (own.Sink == nil || own.Sink.Ref == nil), func() { sink.Auth = s.Auth })
		inherit("delivery", own.Delivery == nil, func() { sink.Delivery = s.Delivery })
		inherit("spool", own.Spool == nil, func() { sink.Spool = s.Spool })
		sinks = append(sinks, sink)
	}
	return sinks
}

// UnusableSinks says of sinks, by their indexes, why no agent can have them.
func (s *LoggerSpec) UnusableSinks() map[int]string {
	reasons, taken := make(map[int]string), make(map[string]bool)
	for i, sink := range s.Sinks {
		switch problems := validation.IsDNS1123Label(sink.Name); {
		case len(problems) > 0:
			reasons[i] = fmt.Sprintf("invalid name %q: %s", sink.Name, strings.Join(problems, "; "))
		case taken[sink.Name]:
			reasons[i] = fmt.Sprintf("another sink has the name %q, too: rename one of them", sink.Name)
		case len(taken) == MaxSinks:
			reasons[i] = fmt.Sprintf("at most %d sinks can be listed", MaxSinks)
		default:
			taken[sink.Name] = true
		}
	}
	return reasons
}

// Field returns the path in the logger of the field that gives a value of the
// sink: sinks[1].delivery.retry, or delivery.retry if the sink has the delivery
// of its logger.
func (s EffectiveSink) Field(name string) string {
	first, _, _ := strings.Cut(name, ".")
	if s.own == "" || slices.Contains(s.inherited, first) {
		return name
	}
	return s.own + "." + name
}

// Path returns the path of the sink in its logger, or "" for the one sink of a
// logger without sinks.
func (s EffectiveSink) Path() string { return s.own }

// Destination returns the destination that the logger names, or nil if the
// cluster's default is the sink.
func (s EffectiveSink) Destination() *duckv1.Destination {
	switch {
	case s.Sink != nil:
		return s.Sink
	case s.URL != nil:
		return &duckv1.Destination{URI: s.URL}
	default:
		return nil
	}
}

// DeadLetterSink returns the destination of the events that the sink doesn't
// accept, or nil.
func (s EffectiveSink) DeadLetterSink() *duckv1.Destination {
	if s.Delivery == nil {
		return nil
	}
	return s.Delivery.DeadLetterSink
}
