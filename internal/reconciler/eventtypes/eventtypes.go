/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package eventtypes keeps an EventType of Knative Eventing for each type of event
// that a Knative Service sends to a Broker of its namespace, so that users find
// the events and their attributes there. It serves the Knative Services of
// InferenceServices and of LoggerBindings alike.
package eventtypes

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	eventingv1beta3 "knative.dev/eventing/pkg/apis/eventing/v1beta3"
	"knative.dev/pkg/kmeta"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

// ServiceLabelKey is on each EventType that Sidenote makes, with the name of the
// Knative Service as its value.
const ServiceLabelKey = "eventtypes.sidenote.dev/service"

// selectorOf selects the EventTypes of a Knative Service.
func selectorOf(service string) string {
	return labels.SelectorFromSet(labels.Set{ServiceLabelKey: service}).String()
}

// Desired returns the EventTypes of a Knative Service, sorted by name. Their names
// have a hash of their content, because Eventing allows no change of an EventType.
func Desired(service *servingv1.Service) ([]*eventingv1beta3.EventType, error) {
	found, err := sentBy(service)
	if err != nil {
		return nil, err
	}
	var desired []*eventingv1beta3.EventType
	for _, s := range found {
		for _, kind := range s.kinds() {
			desired = append(desired, newEventType(service, s, kind))
		}
	}
	byName := func(a, b *eventingv1beta3.EventType) int { return cmp.Compare(a.Name, b.Name) }
	slices.SortFunc(desired, byName)
	// Two sinks may be the same Broker.
	return slices.CompactFunc(desired, func(a, b *eventingv1beta3.EventType) bool { return byName(a, b) == 0 }), nil
}

func newEventType(service *servingv1.Service, s sent, kind agentconfig.Kind) *eventingv1beta3.EventType {
	attributes := s.attributes(kind)
	spec := eventingv1beta3.EventTypeSpec{
		Reference:   s.broker.DeepCopy(),
		Description: descriptions[kind] + " " + describe(attributes),
		Attributes:  attributes,
	}
	return &eventingv1beta3.EventType{
		ObjectMeta: metav1.ObjectMeta{
			Name:      kmeta.ChildName(service.Name, "-"+strings.ReplaceAll(string(kind), ".", "-")+"-"+hashOf(spec)),
			Namespace: service.Namespace,
			Labels:    map[string]string{ServiceLabelKey: service.Name},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: servingv1.SchemeGroupVersion.String(), Kind: "Service",
				Name: service.Name, UID: service.UID, Controller: new(true),
			}},
		},
		Spec: spec,
	}
}

func hashOf(spec eventingv1beta3.EventTypeSpec) string {
	data, err := json.Marshal(spec)
	if err != nil {
		panic(fmt.Sprintf("an EventType has no JSON form: %v", err))
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:4])
}

// Changes are the EventTypes to create and to delete.
type Changes struct{ Create, Delete []*eventingv1beta3.EventType }

// Plan compares the desired EventTypes with the live ones.
func Plan(live, desired []*eventingv1beta3.EventType) (changes Changes) {
	named := func(all []*eventingv1beta3.EventType, name string) bool {
		return slices.ContainsFunc(all, func(e *eventingv1beta3.EventType) bool { return e.Name == name && e.DeletionTimestamp == nil })
	}
	for _, eventType := range desired {
		if !named(live, eventType.Name) {
			changes.Create = append(changes.Create, eventType)
		}
	}
	for _, eventType := range live {
		if !named(desired, eventType.Name) && eventType.DeletionTimestamp == nil {
			changes.Delete = append(changes.Delete, eventType)
		}
	}
	return changes
}
