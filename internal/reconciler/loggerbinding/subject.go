/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package loggerbinding

import (
	"fmt"
	"strings"

	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/internal/binding"
	"github.com/sidenote-dev/sidenote/internal/knativeservice"
	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// subject is a Knative Service that a binding selects, or that still has its
// agent.
type subject struct {
	service *servingv1.Service
	// record is that of the live template, or nil if it has no agent of a binding.
	record *binding.Record
	status v1alpha1.SubjectStatus
	// template is the one that the rollout gives the Knative Service, or nil if it
	// keeps its own.
	template *servingv1.RevisionTemplateSpec
	// injected is the record of template, or nil if that has no agent.
	injected *binding.Record
	// atOnce says that template is written now, whatever the rollout is. Either the
	// agent has a token that it may not have, which is somebody else's credential. Or
	// the latest Revision failed with an agent that is outdated: it serves nobody, and
	// a corrected image may be what it needs.
	atOnce bool
	// denied are the attributes of the live template that the cluster denies. Template
	// has none of them, and is written in stages whatever the rollout is.
	denied []string
	// chosen says that template is written now.
	chosen bool

	// applied is what the agents have from the platform, of template where it is
	// chosen, and else of the live one; without an agent it is what the next
	// template gets. It is nil if this binding doesn't keep the ConfigMaps.
	applied *knativeservice.Applied
	// desired is what a new template gets from the platform, and selection the
	// metadata that it gets.
	desired   knativeservice.Desired
	selection knativeservice.Selection
}

// subjectsOf returns the subjects of a binding in the order of their names.
func subjectsOf(b *v1alpha1.LoggerBinding, live Live, platform Platform) (subjects []*subject) {
	before := make(map[string]v1alpha1.SubjectStatus, len(b.Status.Subjects))
	for _, status := range b.Status.Subjects {
		before[status.Name] = status
	}
	for _, service := range inOrder(live.Services) {
		s := newSubject(service, before)
		owner := binding.Select(live.Bindings, service)
		switch {
		case binding.Selects(b, service) && owner != nil && owner.Name != b.Name:
			if s.record != nil && s.record.Binding != b.Name {
				s.status.AgentImage, s.status.Revision = "", ""
			}
			s.notBound(v1alpha1.ReasonOtherBinding, fmt.Sprintf("the older LoggerBinding %q selects this Knative Service, too: change spec.subject of one of them", owner.Name))
		case owner != nil && owner.Name == b.Name:
			s.follow(b, live, platform)
		case owner == nil && s.record != nil && s.record.Binding == b.Name:
			s.expect(b, platform)
			s.applied = &s.record.Applied
			s.leave()
		default:
			continue
		}
		subjects = append(subjects, s)
	}
	return subjects
}

// newSubject returns a Knative Service of which only the agent is known. Before
// are the states that the last reconciliation found.
func newSubject(service *servingv1.Service, before map[string]v1alpha1.SubjectStatus) *subject {
	s := &subject{service: service, record: binding.RecordOf(&service.Spec.Template), status: v1alpha1.SubjectStatus{Name: service.Name}}
	if s.record == nil {
		return s
	}
	s.status.AgentImage = s.record.Applied.Agent.Image
	s.status.Revision = before[service.Name].Revision
	if service.IsReady() {
		s.status.Revision = service.Status.LatestReadyRevisionName
	}
	return s
}

// expect sets what a new template of the Knative Service gets.
func (s *subject) expect(b *v1alpha1.LoggerBinding, platform Platform) {
	s.desired = binding.DesiredOf(s.service, b, platform.Platform)
	s.selection = selectMetadata(s.service, b, platform)
}

// selectMetadata selects what the events of a Knative Service carry.
func selectMetadata(service *servingv1.Service, b *v1alpha1.LoggerBinding, platform Platform) knativeservice.Selection {
	return binding.MetadataOf(service, b, platform.Logger.DeniedAnnotations).WithoutDenied(platform.Logger.DeniedValues)
}

// keepLast has an attribute keep its last value in a running agent's metadata while the
// present one can't go into an event.
func (s *subject) keepLast(b *v1alpha1.LoggerBinding, live Live, platform Platform) {
	s.selection = s.selection.KeepLast(live.LastMetadata[s.service.Name],
		knativeservice.DeniedAttributes(binding.LoggerOf(b), platform.Logger.DeniedAnnotations), platform.Logger.DeniedValues)
}

// follow has the Knative Service follow its binding: it says whether the template
// is as the binding describes it, and if not, makes one that is.
func (s *subject) follow(b *v1alpha1.LoggerBinding, live Live, platform Platform) {
	s.expect(b, platform)
	s.keepLast(b, live, platform)
	if s.record != nil {
		s.applied = &s.record.Applied
		_, revoked := knativeservice.WithoutForeignAudiences(s.applied, s.desired, platform.Logger.AllowedAudiences)
		s.atOnce = revoked || (knativeservice.Failed(s.service) && len(s.behind()) > 0)
		isCurrent := s.record.LoggerHash == binding.LoggerHash(s.service, b)
		s.denied = knativeservice.DeniedIn(s.applied, binding.LoggerOf(b), platform.Logger)
		if !s.atOnce && len(s.denied) == 0 && isCurrent {
			s.status.State = v1alpha1.SubjectBound
			return
		}
	}
	if !live.NamespaceIncluded {
		s.notBound(v1alpha1.ReasonNamespaceNotIncluded, "the namespace isn't included: label it bindings.sidenote.dev/include=true")
		return
	}
	injection, obstacle := binding.With(s.service, b, platform.Platform)
	if obstacle != nil {
		s.notBound(obstacle.Reason, obstacle.Message)
		return
	}
	if s.applied == nil {
		s.applied = &injection.Record.Applied
	}
	s.status.State = v1alpha1.SubjectWaiting
	if fixed := binding.FixedRevision(&s.service.Spec.Template); fixed != nil {
		s.wait(fixed.Reason, fixed.Message)
		return
	}
	s.template, s.injected = injection.Template, &injection.Record
	if s.record == nil {
		s.wait(v1alpha1.ReasonNextChange, "the next change of its template adds the agent, or rollout: Now in the binding")
	} else {
		s.wait(v1alpha1.ReasonNextChange, "its agent is as the logger was before: the next change of its template renews it, or rollout: Now in the binding")
	}
}

// leave has the Knative Service lose its agent.
func (s *subject) leave() {
	s.status.State = v1alpha1.SubjectUnbinding
	if fixed := binding.FixedRevision(&s.service.Spec.Template); fixed != nil {
		s.wait(fixed.Reason, fixed.Message)
		return
	}
	s.template = s.bare()
	s.wait(v1alpha1.ReasonNotSelected, "the binding doesn't select it any more: the next change of its template removes the agent, or rollout: Now in the binding")
}

// maxMessageBytes bounds a message: those of Serving have no bound, and a status
// has many subjects.
const maxMessageBytes = 1024

// wait says why the subject isn't bound, or not as the binding describes it now.
func (s *subject) wait(reason v1alpha1.SubjectReason, message string) {
	s.status.Reason, s.status.Message = reason, bounded(message)
}

func bounded(message string) string {
	if len(message) > maxMessageBytes {
		message = strings.ToValidUTF8(message[:maxMessageBytes], "") + "…"
	}
	return message
}

func (s *subject) notBound(reason v1alpha1.SubjectReason, message string) {
	s.status.State = v1alpha1.SubjectNotBound
	s.wait(reason, message)
}

// bare returns the live template without the agent.
func (s *subject) bare() *servingv1.RevisionTemplateSpec {
	return binding.Without(&s.service.Spec.Template)
}

// behind names the differences between the agent of the template and a new one.
func (s *subject) behind() []string {
	return knativeservice.Behind(s.bare().Spec.Containers, *s.applied, s.desired)
}

func (s *subject) isLeaving() bool { return s.status.State == v1alpha1.SubjectUnbinding }

// isListed reports whether the status of the binding has the subject: not if the
// rollout removes the agent now.
func (s *subject) isListed() bool { return !s.isLeaving() || !s.chosen }

// hasAgent reports whether the template has the agent, after the writes.
func (s *subject) hasAgent() bool {
	if s.chosen {
		return s.injected != nil
	}
	return s.record != nil
}

// othersServe reports whether pods of another template than the one of applied
// may serve.
func (s *subject) othersServe() bool { return s.chosen || !knativeservice.ServesAlone(s.service) }

// mounts reports whether the live template mounts a ConfigMap as a volume.
func (s *subject) mounts(name string) bool {
	for _, volume := range s.service.Spec.Template.Spec.Volumes {
		if source := volume.ConfigMap; source != nil && source.Name == name {
			return true
		}
	}
	return false
}

// isLive reports whether the logger of a binding updates running agents.
func isLive(b *v1alpha1.LoggerBinding) bool {
	return b.Spec.Logger.MetadataRefresh == v1beta1.RefreshLive
}
