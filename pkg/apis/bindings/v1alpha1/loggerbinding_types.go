/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	"knative.dev/pkg/kmeta"
	"knative.dev/pkg/tracker"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// LoggerBinding adds the agent to Knative Services that somebody else keeps:
// a user, a GitOps tool or KServe. The agent sends each request and response as a
// CloudEvent.
//
// +genclient
// +genreconciler
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=loggerbindings,singular=loggerbinding,shortName=lb,categories={all,knative,bindings}
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].reason`
// +kubebuilder:printcolumn:name="Bound",type=integer,JSONPath=`.status.bound`
// +kubebuilder:printcolumn:name="Waiting",type=integer,JSONPath=`.status.waiting`
// +kubebuilder:printcolumn:name="NotBound",type=integer,JSONPath=`.status.notBound`
// +kubebuilder:printcolumn:name="Sink",type=string,priority=1,JSONPath=`.status.logger.sinkURI`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type LoggerBinding struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the desired state. Its owner writes it.
	// +optional
	Spec LoggerBindingSpec `json:"spec,omitempty"`
	// Status is the observed state. The controller writes it.
	// +optional
	Status LoggerBindingStatus `json:"status,omitempty"`
}

var (
	_ apis.Validatable        = (*LoggerBinding)(nil)
	_ apis.Defaultable        = (*LoggerBinding)(nil)
	_ apis.HasSpec            = (*LoggerBinding)(nil)
	_ kmeta.OwnerRefable      = (*LoggerBinding)(nil)
	_ duckv1.KRShaped         = (*LoggerBinding)(nil)
	_ apis.ConditionsAccessor = (*LoggerBindingStatus)(nil)
	_ runtime.Object          = (*LoggerBinding)(nil)
)

// LoggerBindingList is a list of LoggerBindings.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type LoggerBindingList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []LoggerBinding `json:"items"`
}

// LoggerBindingSpec is the desired state of a LoggerBinding.
//
// +kubebuilder:pruning:PreserveUnknownFields
type LoggerBindingSpec struct {
	// Subject selects Knative Services of the binding's namespace, by name or by
	// selector. apiVersion is serving.knative.dev/v1 and kind is Service. The
	// namespace needs the label bindings.sidenote.dev/include with the value true.
	// If several bindings select a Knative Service, the oldest one binds it.
	// Required.
	Subject tracker.Reference `json:"subject"`
	// Logger selects the events, their attributes and their sink, as in an
	// InferenceService. Its annotations are those of the Knative Service; on a
	// Knative Service of KServe those of the template, to which KServe copies the
	// annotations of its InferenceService. Required.
	Logger *v1beta1.LoggerSpec `json:"logger"`
	// Rollout selects when a Knative Service gets the agent, a change of it, or
	// loses it. OnNextChange waits for the next change of its template, which
	// makes a new Revision anyway. Now changes the templates at once, a few
	// Knative Services at a time. Default: OnNextChange.
	// +optional
	Rollout Rollout `json:"rollout,omitempty"`

	// Unknown holds the fields that this version doesn't know.
	Unknown v1beta1.UnknownFields `json:"-"`
}

// Rollout selects when the templates of Knative Services follow a binding.
type Rollout string

const (
	// RolloutOnNextChange changes a template together with its owner's next change.
	RolloutOnNextChange Rollout = "OnNextChange"
	// RolloutNow changes templates at once, a few Knative Services at a time.
	RolloutNow Rollout = "Now"
)

// LoggerBindingStatus is the observed state of a LoggerBinding.
type LoggerBindingStatus struct {
	duckv1.Status `json:",inline"`

	// Bound is the number of selected Knative Services whose template has the
	// agent of this binding.
	Bound int32 `json:"bound"`
	// Waiting is the number of selected Knative Services whose template follows
	// the binding with its next change, or later in the rollout. It includes bound
	// ones with an earlier agent.
	Waiting int32 `json:"waiting"`
	// NotBound is the number of selected Knative Services that can't have the
	// agent.
	NotBound int32 `json:"notBound"`
	// Subjects has the state of each selected Knative Service, and of each that
	// still has the agent of this binding, in the order of their names. At most
	// 100; those that are neither bound nor waiting come first if there are more.
	// +optional
	// +listType=map
	// +listMapKey=name
	Subjects []SubjectStatus `json:"subjects,omitempty"`
	// Logger shows the sinks of new templates.
	// +optional
	Logger *LoggerStatus `json:"logger,omitempty"`
}

// LoggerStatus shows where the sinks of a binding are. Admission puts these
// addresses into new templates.
type LoggerStatus struct {
	// Sink is the address of the sink. Absent if it has none.
	// +optional
	Sink *duckv1.Addressable `json:"sink,omitempty"`
	// SinkURI is the URL of the sink. Absent if it has none.
	// +optional
	SinkURI *apis.URL `json:"sinkURI,omitempty"`
	// DeadLetterSink is the address of the dead letter sink. Absent if there is
	// none.
	// +optional
	DeadLetterSink *duckv1.Addressable `json:"deadLetterSink,omitempty"`
	// Sinks has the addresses of all sinks. Sink, sinkURI and deadLetterSink are
	// absent if the specification lists sinks.
	// +optional
	// +listType=map
	// +listMapKey=name
	Sinks []SinkStatus `json:"sinks,omitempty"`
}

// SinkStatus shows where a sink of a binding is.
type SinkStatus struct {
	// Name is the name of the sink; default if the specification lists none.
	Name string `json:"name"`
	// Sink is the address of the sink. Absent if it has none.
	// +optional
	Sink *duckv1.Addressable `json:"sink,omitempty"`
	// DeadLetterSink is the address of its dead letter sink. Absent if there is
	// none.
	// +optional
	DeadLetterSink *duckv1.Addressable `json:"deadLetterSink,omitempty"`
}

// Of returns where the sink of a name is.
func (s *LoggerStatus) Of(name string) SinkStatus {
	if s == nil {
		return SinkStatus{Name: name}
	}
	for _, sink := range s.Sinks {
		if sink.Name == name {
			return sink
		}
	}
	if name == v1beta1.DefaultSinkName {
		// An earlier release wrote it.
		return SinkStatus{name, s.Sink, s.DeadLetterSink}
	}
	return SinkStatus{Name: name}
}

// SubjectState says how far a Knative Service follows a binding.
type SubjectState string

// The states of a subject. docs/reference/loggerbinding.md is generated from
// their comments.
const (
	// SubjectBound: the template has the agent that the binding describes.
	SubjectBound SubjectState = "Bound"
	// SubjectWaiting: the template follows with its next change, or later in the
	// rollout.
	SubjectWaiting SubjectState = "Waiting"
	// SubjectUnbinding: the binding doesn't select the Knative Service any more, and
	// its template still has the agent.
	SubjectUnbinding SubjectState = "Unbinding"
	// SubjectNotBound: the template can't have the agent. Reason and message say why.
	SubjectNotBound SubjectState = "NotBound"
)

// SubjectStatus is the state of one Knative Service.
type SubjectStatus struct {
	// Name is the name of the Knative Service.
	Name string `json:"name"`
	// State is Bound, Waiting, Unbinding or NotBound.
	State SubjectState `json:"state"`
	// Reason says in one word why the state isn't Bound.
	// +optional
	Reason SubjectReason `json:"reason,omitempty"`
	// Message says why the state isn't Bound, and what to do.
	// +optional
	Message string `json:"message,omitempty"`
	// Revision is the latest ready Revision that has the agent.
	// +optional
	Revision string `json:"revision,omitempty"`
	// AgentImage is the agent's image in the template.
	// +optional
	AgentImage string `json:"agentImage,omitempty"`
	// Identity is the subject of the tokens that the agent sends to sinks with an
	// OIDC audience, which an EventPolicy names. Absent without such a sink.
	// +optional
	Identity string `json:"identity,omitempty"`
}

// GetGroupVersionKind returns the type's group, version and kind.
func (*LoggerBinding) GetGroupVersionKind() schema.GroupVersionKind {
	return SchemeGroupVersion.WithKind("LoggerBinding")
}

// GetUntypedSpec returns the specification.
func (b *LoggerBinding) GetUntypedSpec() any { return b.Spec }

// GetStatus returns the part of the status that all Knative types share.
func (b *LoggerBinding) GetStatus() *duckv1.Status { return &b.Status.Status }

// GetConditionSet returns the conditions that Ready derives from.
func (*LoggerBinding) GetConditionSet() apis.ConditionSet { return conditionSet }
