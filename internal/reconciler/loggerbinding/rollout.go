/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package loggerbinding

import (
	"cmp"
	"slices"
	"strings"

	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/internal/binding"
	"github.com/sidenote-dev/sidenote/internal/reconciler/stages"
	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
)

// rollOut chooses the subjects that get their new template now: those that get it
// at once, and some of those that lose an attribute that the cluster denies, and of
// all if the rollout is Now. It waits for those that have
// theirs and aren't ready yet.
func rollOut(subjects []*subject, live Live, isNow bool) (changes []ServiceChange) {
	unready := leftUnready(live)
	var due []*subject
	for _, s := range subjects {
		switch {
		case s.template != nil && s.atOnce:
			changes = append(changes, s.choose())
		case s.template != nil && (isNow || len(s.denied) > 0):
			due = append(due, s)
		case s.status.State == v1alpha1.SubjectBound && !s.service.IsReady():
			unready = append(unready, s.service.Name)
		}
	}
	// One that isn't ready now may never be, and would hold up the others.
	slices.SortStableFunc(due, func(a, b *subject) int { return cmp.Compare(rank(a.service), rank(b.service)) })
	room := stages.Room(len(due), len(unready))
	chosen, waiting := due[:room], due[room:]
	for _, s := range chosen {
		unready = append(unready, s.service.Name)
	}
	for _, s := range waiting {
		s.wait(v1alpha1.ReasonRollingOut, "the rollout waits for other Knative Services to be ready: "+joined(unready))
	}
	for _, s := range chosen {
		changes = append(changes, s.choose())
	}
	return changes
}

func rank(service *servingv1.Service) int {
	if service.IsReady() {
		return 0
	}
	return 1
}

// choose has the subject get its new template now.
func (s *subject) choose() ServiceChange {
	change := ServiceChange{Service: s.service, Template: s.template, Bound: s.injected != nil, Before: s.status}
	s.chosen = true
	if s.injected != nil {
		s.applied = &s.injected.Applied
		s.status.AgentImage = s.injected.Applied.Agent.Image
		s.status.State, s.status.Reason, s.status.Message = v1alpha1.SubjectBound, "", ""
	}
	return change
}

// leftUnready returns the Knative Services that have lost their agent and aren't
// ready yet. Their ConfigMaps stay until then.
func leftUnready(live Live) (names []string) {
	for _, service := range inOrder(live.Services) {
		if isLeft(service, live) && !service.IsReady() && hasConfigMaps(service, live) {
			names = append(names, service.Name)
		}
	}
	return names
}

// isLeft reports whether no binding has to do with a Knative Service any more.
func isLeft(service *servingv1.Service, live Live) bool {
	return binding.RecordOf(&service.Spec.Template) == nil && binding.Select(live.Bindings, service) == nil
}

// maxNames bounds the names in a message.
const maxNames = 8

func joined(names []string) string {
	if len(names) > maxNames {
		return strings.Join(names[:maxNames], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}
