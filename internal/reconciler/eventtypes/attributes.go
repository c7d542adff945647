/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package eventtypes

import (
	"fmt"
	"slices"
	"strings"

	eventingv1beta3 "knative.dev/eventing/pkg/apis/eventing/v1beta3"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

// descriptions says when an event of a kind is sent, and which data it has.
var descriptions = map[agentconfig.Kind]string{
	agentconfig.KindRequest:          "A complete request to the model, with its body.",
	agentconfig.KindResponse:         "A complete response of the model with a 2xx status, with its body.",
	agentconfig.KindStream:           "A complete stream of server-sent events or gRPC messages of the model.",
	agentconfig.KindRequestFailure:   "A request that broke off, with the part of its body that arrived.",
	agentconfig.KindResponseFailure:  "A response with another status than 2xx, or one that broke off or didn't come.",
	agentconfig.KindRequestOversize:  "A request whose body is too large for an event, with its size and hash.",
	agentconfig.KindResponseOversize: "A response whose body is too large for an event, with its size and hash.",
	agentconfig.KindRequestEncoded:   "A request whose body can't be decoded, with its body as it was.",
	agentconfig.KindResponseEncoded:  "A response whose body can't be decoded, with its body as it was.",
	agentconfig.KindTunnel:           "A WebSocket connection to the model that ended, with the number of its bytes.",
	agentconfig.KindLoop:             "An exchange whose request carries an event of the agent.",
	agentconfig.KindLedger:           "The agent's counts of its events to this sink.",
}

// kinds are those that the sink gets.
func (s sent) kinds() []agentconfig.Kind {
	return slices.DeleteFunc(agentconfig.Kinds(), func(kind agentconfig.Kind) bool {
		return !slices.Contains(s.sink.Events, kind) || !s.sink.Mode.Sends(kind)
	})
}

// describe lists attributes as text. Eventing stores an EventType in a version that
// keeps no other attribute than type and source.
func describe(attributes []eventingv1beta3.EventAttributeDefinition) string {
	var always, sometimes []string
	for _, attribute := range attributes {
		text := attribute.Name
		if !isTemplate(attribute.Value) {
			text += "=" + attribute.Value
		}
		if attribute.Required {
			always = append(always, text)
		} else {
			sometimes = append(sometimes, text)
		}
	}
	return fmt.Sprintf("Each event has the attributes %s. Some events also have %s.", strings.Join(always, ", "), strings.Join(sometimes, ", "))
}

// isTemplate reports whether a value differs from event to event.
func isTemplate(value string) bool { return strings.HasPrefix(value, "{") }

// attributes describes the attributes of events of a kind. A value in braces
// differs from event to event.
func (s sent) attributes(kind agentconfig.Kind) []eventingv1beta3.EventAttributeDefinition {
	var all []eventingv1beta3.EventAttributeDefinition
	add := func(name, value string, required bool) {
		if value == "" || strings.ContainsAny(value, "{}") {
			value = "{" + name + "}"
		}
		all = append(all, eventingv1beta3.EventAttributeDefinition{Name: name, Required: required, Value: value})
	}
	addIf := func(name, value string) {
		if value != "" {
			add(name, value, true)
		}
	}
	ofAgent := kind == agentconfig.KindLedger
	ofRequest := strings.HasPrefix(string(kind), string(agentconfig.KindRequest))

	add("specversion", "1.0", true)
	add("id", "", true)
	add("source", s.agent.Source, true)
	add("type", s.sink.Profile.Type(kind), true)
	add("time", "", true)
	add("datacontenttype", "", false)
	if !ofAgent {
		add("subject", "", false)
		add("correlationid", "", true)
	}
	addIf("inferenceservicename", s.agent.InferenceService)
	addIf("namespace", s.agent.Namespace)
	addIf("component", s.agent.Component)
	add("revision", "", true)
	add("agentinstance", "", true)
	add("agentsequence", "", true)
	if ofAgent {
		return all
	}
	if s.agent.Sampling != (agentconfig.Sampling{}) {
		add("sampledrate", "", true)
	}
	if !ofRequest {
		add("statuscode", "", false)
		add("durationms", "", true)
	}
	for _, attribute := range s.agent.Metadata {
		value := attribute.Value
		if s.agent.MetadataDir != "" {
			// The running agents may have another value by now.
			value = ""
		}
		add(attribute.Name, value, true)
	}
	for _, source := range s.agent.MetadataHeaders {
		add(source.Attribute, "", false)
	}
	return all
}
