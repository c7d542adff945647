/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	eventingduckv1 "knative.dev/eventing/pkg/apis/duck/v1"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	"knative.dev/pkg/kmeta"
)

// InferenceService runs a model on Knative Serving and sends every request
// and response of it as a CloudEvent to a sink.
//
// +genclient
// +genreconciler
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=inferenceservices,singular=inferenceservice,shortName=isvc,categories={all,knative,kubeflow}
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="URL",type=string,JSONPath=`.status.url`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].status`
// +kubebuilder:printcolumn:name="Logger",type=string,JSONPath=`.status.conditions[?(@.type=='LoggerReady')].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type InferenceService struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +optional
	Spec InferenceServiceSpec `json:"spec,omitempty"`
	// +optional
	Status InferenceServiceStatus `json:"status,omitempty"`
}

var (
	_ apis.Validatable        = (*InferenceService)(nil)
	_ apis.Defaultable        = (*InferenceService)(nil)
	_ apis.HasSpec            = (*InferenceService)(nil)
	_ kmeta.OwnerRefable      = (*InferenceService)(nil)
	_ duckv1.KRShaped         = (*InferenceService)(nil)
	_ apis.ConditionsAccessor = (*InferenceServiceStatus)(nil)
	_ runtime.Object          = (*InferenceService)(nil)
)

// InferenceServiceList is a list of InferenceServices.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type InferenceServiceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []InferenceService `json:"items"`
}

// InferenceServiceSpec says what an InferenceService serves.
//
// +kubebuilder:pruning:PreserveUnknownFields
type InferenceServiceSpec struct {
	// Predictor is the model.
	Predictor PredictorSpec `json:"predictor"`

	// Unknown holds the fields that this version doesn't know, so that
	// validation can name each and say what to write instead.
	Unknown UnknownFields `json:"-"`
}

// PredictorSpec is a Pod's specification with what Knative Serving and the
// logger need to know beside it.
//
// +kubebuilder:pruning:PreserveUnknownFields
type PredictorSpec struct {
	corev1.PodSpec `json:",inline"`

	// MinReplicas is the least number of pods; 0 scales to zero. Unset:
	// Knative's own default.
	// +optional
	MinReplicas *int32 `json:"minReplicas,omitempty"`
	// MaxReplicas is the greatest number of pods; 0 is no limit. Unset:
	// Knative's own default.
	// +optional
	MaxReplicas *int32 `json:"maxReplicas,omitempty"`
	// ContainerConcurrency is how many requests a pod takes at once; 0 is no
	// limit. Unset: Knative's own default.
	// +optional
	ContainerConcurrency *int64 `json:"containerConcurrency,omitempty"`
	// Timeout is how long a request may take, in seconds. Unset: Knative's own
	// default.
	// +optional
	Timeout *int64 `json:"timeout,omitempty"`
	// ResponseStartTimeoutSeconds is how long an answer may take to begin.
	// Unset: Knative's own default.
	// +optional
	ResponseStartTimeoutSeconds *int64 `json:"responseStartTimeoutSeconds,omitempty"`
	// IdleTimeoutSeconds is how long an exchange may stay without a byte.
	// Unset: Knative's own default.
	// +optional
	IdleTimeoutSeconds *int64 `json:"idleTimeoutSeconds,omitempty"`

	// Logger says what is sent of each request and response, and where to.
	// Unset: nothing, and no agent runs.
	// +optional
	Logger *LoggerSpec `json:"logger,omitempty"`

	// Unknown holds the fields that this version doesn't know.
	Unknown UnknownFields `json:"-"`
}

// LoggerMode says which side of an exchange is sent.
type LoggerMode string

// The modes of a logger.
const (
	LogAll      LoggerMode = "all"
	LogRequest  LoggerMode = "request"
	LogResponse LoggerMode = "response"
)

// MetadataRefresh says when a changed annotation reaches the events.
type MetadataRefresh string

const (
	// RefreshByRevision rolls a new Revision for each change of a listed
	// annotation: each Revision's events carry what held when it was made.
	RefreshByRevision MetadataRefresh = "Revision"
	// RefreshLive passes a change to the running agents, within some minutes
	// and without a new Revision.
	RefreshLive MetadataRefresh = "Live"
)

// ContentMode is how an event is put on the wire (CloudEvents HTTP protocol
// binding, section 3).
type ContentMode string

// The content modes of a logger.
const (
	// ContentModeAuto is binary wherever a header carries every attribute
	// unchanged, and structured otherwise.
	ContentModeAuto       ContentMode = "auto"
	ContentModeBinary     ContentMode = "binary"
	ContentModeStructured ContentMode = "structured"
)

// LoggerSpec says what is sent of each request and response, and where to.
//
// +kubebuilder:pruning:PreserveUnknownFields
type LoggerSpec struct {
	// Mode is all (the default), request or response.
	// +optional
	Mode LoggerMode `json:"mode,omitempty"`
	// Sink is where events go: an addressable object, as a Broker or a Knative
	// Service, or a URI. Unset, with no url either: the cluster's default of
	// config-logger.
	// +optional
	Sink *duckv1.Destination `json:"sink,omitempty"`
	// URL is where events go, as in KFServing: short for a sink with a uri.
	// +optional
	URL *apis.URL `json:"url,omitempty"`
	// MetadataAnnotations lists the annotations of the InferenceService that
	// each event carries, each as an attribute named by what follows the last
	// slash of the annotation's key, lower-cased, without characters other than
	// a-z and 0-9.
	// +optional
	// +listType=atomic
	MetadataAnnotations []string `json:"metadataAnnotations,omitempty"`
	// Metadata lists annotations with the attribute's name given for each.
	// +optional
	// +listType=atomic
	Metadata []MetadataSource `json:"metadata,omitempty"`
	// MetadataRefresh is Revision (the default) or Live.
	// +optional
	MetadataRefresh MetadataRefresh `json:"metadataRefresh,omitempty"`
	// Events lists the kinds of event that are sent: request, response, stream,
	// request.failure, response.failure, request.oversize, response.oversize,
	// request.encoded, response.encoded, tunnel, loop, ledger. Unset: those of
	// complete exchanges, which are request, response, stream, request.oversize,
	// response.oversize, request.encoded, response.encoded and loop.
	// +optional
	// +listType=atomic
	Events []string `json:"events,omitempty"`
	// Paths are patterns of the paths that are inference, and so are sent: * is
	// any run of characters, and a leading ! says what is not inference, as in
	// /v1/models/*:predict or !/internal/*. Unset, or with exclusions alone:
	// everything but health probes, requests for metadata and metrics scrapes.
	// +optional
	// +listType=atomic
	Paths []string `json:"paths,omitempty"`
	// ContentMode is auto (the default), binary or structured.
	// +optional
	ContentMode ContentMode `json:"contentMode,omitempty"`
	// MaxPayloadBytes is the largest body that an event carries. Unset: the
	// cluster's default of config-agent.
	// +optional
	MaxPayloadBytes *int64 `json:"maxPayloadBytes,omitempty"`

	// Delivery says how events are sent again, and where those go that the sink
	// doesn't take. Its format is not supported: ContentMode is. Unset: an event
	// is tried again for 10 minutes, and then dropped and counted.
	// +optional
	Delivery *eventingduckv1.DeliverySpec `json:"delivery,omitempty"`

	// Spool keeps on disk what the agent's memory has no room for while the sink
	// takes too little. Unset: it is dropped and counted.
	// +optional
	Spool *SpoolSpec `json:"spool,omitempty"`

	// Resources are requests and limits of the agent's container: cpu, memory and
	// ephemeral-storage. Each replaces the cluster's one of config-agent. A memory
	// limit also gives the agent's GOMEMLIMIT and how much it holds for events.
	// +optional
	Resources *corev1.ResourceRequirements `json:"resources,omitempty"`

	// Unknown holds the fields that this version doesn't know, at any depth.
	Unknown UnknownFields `json:"-"`
}

// SpoolOverflow says which events are dropped at a spool's limit.
type SpoolOverflow string

// What a full spool drops.
const (
	// DropOldest makes room for new events.
	DropOldest SpoolOverflow = "DropOldest"
	// DropNewest takes no more until there is room.
	DropNewest SpoolOverflow = "DropNewest"
)

// SpoolSpec is a volume of the pod, an emptyDir, that outlives a crash of the
// agent and ends with the pod.
type SpoolSpec struct {
	// SizeLimit is the volume's size, from 16Mi to 1Ti, of which the spool takes
	// three quarters: the kubelet evicts a pod whose volume is over its limit.
	// Required.
	// +optional
	SizeLimit *resource.Quantity `json:"sizeLimit,omitempty"`
	// WhenFull is DropOldest (the default) or DropNewest.
	// +optional
	WhenFull SpoolOverflow `json:"whenFull,omitempty"`
	// Sync has each event survive a loss of the node's power, too, once it is
	// spooled. A crash needs none of it.
	// +optional
	Sync bool `json:"sync,omitempty"`
}

// MetadataSource names the attribute that an annotation's value goes into.
type MetadataSource struct {
	// Attribute is the name of the CloudEvents extension attribute.
	Attribute string `json:"attribute"`
	// Annotation is the key of the InferenceService's annotation.
	Annotation string `json:"annotation"`
}

// ComponentType names a part of an InferenceService.
type ComponentType string

// PredictorComponent is the model.
const PredictorComponent ComponentType = "predictor"

// InferenceServiceStatus is what is true of an InferenceService, and why.
type InferenceServiceStatus struct {
	duckv1.Status `json:",inline"`

	// URL is where clients reach the predictor.
	// +optional
	URL *apis.URL `json:"url,omitempty"`
	// Address is where the predictor is reached from within the cluster.
	// +optional
	Address *duckv1.Addressable `json:"address,omitempty"`
	// Components holds the state of each component's Knative Service.
	// +optional
	Components map[ComponentType]ComponentStatus `json:"components,omitempty"`
	// Logger is what truly goes out. Absent: no agent runs.
	// +optional
	Logger *LoggerStatus `json:"logger,omitempty"`
	// ObservedMetadata is a hash of the metadata in force. A change of an
	// annotation doesn't change the generation, so this is what to wait on.
	// +optional
	ObservedMetadata string `json:"observedMetadata,omitempty"`
}

// ComponentStatus is the state of a component's Knative Service.
type ComponentStatus struct {
	// ServiceName is the Knative Service's name, and the source of the events.
	ServiceName string `json:"serviceName"`
	// ServiceGeneration is the Knative Service's generation when this controller
	// last wrote it or agreed with it: another one means that somebody else
	// changed it.
	// +optional
	ServiceGeneration int64 `json:"serviceGeneration,omitempty"`
	// URL is the Knative Service's.
	// +optional
	URL *apis.URL `json:"url,omitempty"`
	// LatestCreatedRevision is the Revision that was made last.
	// +optional
	LatestCreatedRevision string `json:"latestCreatedRevision,omitempty"`
	// LatestReadyRevision is the Revision that became ready last.
	// +optional
	LatestReadyRevision string `json:"latestReadyRevision,omitempty"`
}

// LoggerStatus is what goes out of the template in force.
type LoggerStatus struct {
	// Mode is the side of an exchange that is sent.
	Mode LoggerMode `json:"mode"`
	// SinkURI is where events go. Absent: nowhere, each is counted as dropped.
	// +optional
	SinkURI *apis.URL `json:"sinkURI,omitempty"`
	// DeadLetterSinkURI is where events go that the sink doesn't take. Absent:
	// nowhere, each is counted as dropped.
	// +optional
	DeadLetterSinkURI *apis.URL `json:"deadLetterSinkURI,omitempty"`
	// Attributes are the names of the metadata attributes that each event
	// carries.
	// +optional
	// +listType=atomic
	Attributes []string `json:"attributes,omitempty"`
	// MissingAnnotations are listed in the specification, but not on the
	// object.
	// +optional
	// +listType=atomic
	MissingAnnotations []string `json:"missingAnnotations,omitempty"`
	// AgentImage is the image of the agent in force.
	// +optional
	AgentImage string `json:"agentImage,omitempty"`
}

// GetGroupVersionKind gives the type's group, version and kind.
func (*InferenceService) GetGroupVersionKind() schema.GroupVersionKind {
	return SchemeGroupVersion.WithKind("InferenceService")
}

// GetUntypedSpec gives the specification.
func (is *InferenceService) GetUntypedSpec() any { return is.Spec }

// GetStatus gives the part of the status that all Knative types share.
func (is *InferenceService) GetStatus() *duckv1.Status { return &is.Status.Status }

// GetConditionSet gives the conditions that Ready derives from.
func (*InferenceService) GetConditionSet() apis.ConditionSet { return conditionSet }

// ServiceName gives the name of a component's Knative Service, which is also
// the source of its events.
func (is *InferenceService) ServiceName(component ComponentType) string {
	return is.Name + "-" + string(component) + "-default"
}

// MetadataName gives the name of the ConfigMap that carries a component's
// metadata to running agents.
func (is *InferenceService) MetadataName(component ComponentType) string {
	return is.ServiceName(component) + "-metadata"
}

// TrustName gives the name of the ConfigMap that carries certificate
// authorities to a component's running agents.
func (is *InferenceService) TrustName(component ComponentType) string {
	return is.ServiceName(component) + "-trust"
}
