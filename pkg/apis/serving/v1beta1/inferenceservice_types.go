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

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

// InferenceService runs a model on Knative Serving. With a logger, it sends
// each request and response of the model to a sink as a CloudEvent.
//
// +genclient
// +genreconciler
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=inferenceservices,singular=inferenceservice,shortName=isvc,categories={all,knative,kubeflow}
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="URL",type=string,JSONPath=`.status.url`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].status`
// +kubebuilder:printcolumn:name="Prev",type=integer,JSONPath=`.status.components.predictor.traffic[?(@.tag=='prev')].percent`
// +kubebuilder:printcolumn:name="Latest",type=integer,JSONPath=`.status.components.predictor.traffic[?(@.latestRevision==true)].percent`
// +kubebuilder:printcolumn:name="Logger",type=string,JSONPath=`.status.conditions[?(@.type=='LoggerReady')].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].reason`
// +kubebuilder:printcolumn:name="PrevRolledoutRevision",type=string,priority=1,JSONPath=`.status.components.predictor.traffic[?(@.tag=='prev')].revisionName`
// +kubebuilder:printcolumn:name="LatestReadyRevision",type=string,priority=1,JSONPath=`.status.components.predictor.latestReadyRevision`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type InferenceService struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the desired state. Its owner writes it.
	// +optional
	Spec InferenceServiceSpec `json:"spec,omitempty"`
	// Status is the observed state. The controller writes it.
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

// InferenceServiceSpec is the desired state of an InferenceService.
//
// +kubebuilder:pruning:PreserveUnknownFields
type InferenceServiceSpec struct {
	// Predictor describes the pod that serves the model, its scaling and its
	// logger. Required.
	Predictor PredictorSpec `json:"predictor"`
	// Transformer describes a pod in front of the model, which changes requests and
	// responses. Its container gets the predictor's address in the environment
	// variable PREDICTOR_HOST and, as from KServe, the arguments --model_name,
	// --predictor_host and --http_port. It has the same fields as the predictor, and
	// a logger of its own. Default: none.
	// +optional
	Transformer *PredictorSpec `json:"transformer,omitempty"`
	// Explainer describes a pod that explains predictions. It gets the predictor's
	// address as a transformer does, and has the same fields as the predictor.
	// Default: none.
	// +optional
	Explainer *PredictorSpec `json:"explainer,omitempty"`

	// Unknown holds the fields that this version doesn't know. Validation names
	// each of them and says what to write instead.
	Unknown UnknownFields `json:"-"`
}

// PredictorSpec describes the predictor, the transformer or the explainer. It is a Pod's specification, extended by the settings of Knative
// Serving and of the logger. It supports the Pod fields that Knative Serving
// supports.
//
// +kubebuilder:pruning:PreserveUnknownFields
type PredictorSpec struct {
	corev1.PodSpec `json:",inline"`

	// MinReplicas is the smallest number of pods, 0 or more. With 0 the service
	// scales to zero when it is idle. Default: Knative's min-scale.
	// +optional
	MinReplicas *int32 `json:"minReplicas,omitempty"`
	// MaxReplicas is the largest number of pods. 0 means no limit. Default:
	// Knative's max-scale.
	// +optional
	MaxReplicas *int32 `json:"maxReplicas,omitempty"`
	// ScaleTarget is the value of scaleMetric that Knative's autoscaler aims at for
	// each pod, 1 or more: a number of requests at once, requests per second, a
	// percentage of the requested CPU, or MiB of memory. Default: Knative's
	// container-concurrency-target-default or requests-per-second-target-default.
	// +optional
	ScaleTarget *int32 `json:"scaleTarget,omitempty"`
	// ScaleMetric is the metric that Knative's autoscaler scales by: concurrency or
	// rps. cpu and memory need the annotation autoscaling.knative.dev/class:
	// hpa.autoscaling.knative.dev. Default: concurrency.
	// +optional
	ScaleMetric ScaleMetric `json:"scaleMetric,omitempty"`
	// ContainerConcurrency is the largest number of requests that one pod handles
	// at a time; further ones wait. 0 means no limit. With a logger it must not
	// exceed the agent's max-exchanges. Default: Knative's container-concurrency.
	// +optional
	ContainerConcurrency *int64 `json:"containerConcurrency,omitempty"`
	// Timeout is the longest duration of a request in seconds, and the grace
	// period of the pod. Default: Knative's revision-timeout-seconds.
	// +optional
	Timeout *int64 `json:"timeout,omitempty"`
	// ResponseStartTimeoutSeconds is the longest time in seconds until the model
	// begins to respond. At most timeout. Default: Knative's
	// revision-response-start-timeout-seconds.
	// +optional
	ResponseStartTimeoutSeconds *int64 `json:"responseStartTimeoutSeconds,omitempty"`
	// IdleTimeoutSeconds is the longest time in seconds in which an exchange may
	// transfer no byte. At most timeout. Default: Knative's
	// revision-idle-timeout-seconds.
	// +optional
	IdleTimeoutSeconds *int64 `json:"idleTimeoutSeconds,omitempty"`
	// CanaryTrafficPercent is the percentage of the traffic that the latest Revision
	// gets, from 0 to 100. The Revision that had all of the traffic before gets the
	// rest, and has the tag prev. If the latest Revision itself had all of it, the
	// one before that gets the rest, so that 0 rolls back. Without such a Revision,
	// the latest one gets everything. A change creates no Revision. Default: 100.
	// +optional
	CanaryTrafficPercent *int64 `json:"canaryTrafficPercent,omitempty"`

	// Logger adds an agent to the pod, which sends requests and responses as
	// CloudEvents. It selects the events, their attributes and their sink.
	// Without it no agent runs, and nothing is sent.
	// +optional
	Logger *LoggerSpec `json:"logger,omitempty"`

	// Unknown holds the fields that this version doesn't know.
	Unknown UnknownFields `json:"-"`
}

// ScaleMetric is what Knative's autoscaler scales by.
type ScaleMetric string

// The metrics of the autoscaler. CPU and memory are those of Knative's
// autoscaler of the class hpa.autoscaling.knative.dev.
const (
	ScaleByConcurrency ScaleMetric = "concurrency"
	ScaleByRPS         ScaleMetric = "rps"
	ScaleByCPU         ScaleMetric = "cpu"
	ScaleByMemory      ScaleMetric = "memory"
)

// LoggerMode selects which sides of an exchange are sent: all, request or
// response.
type LoggerMode string

// The modes of a logger.
const (
	LogAll      = LoggerMode(agentconfig.ModeAll)
	LogRequest  = LoggerMode(agentconfig.ModeRequest)
	LogResponse = LoggerMode(agentconfig.ModeResponse)
)

// MetadataRefresh selects how a changed annotation reaches the events: with a
// new Revision, or live.
type MetadataRefresh string

const (
	// RefreshByRevision creates a new Revision for each change of a listed
	// annotation. The events of a Revision carry the values from its creation.
	RefreshByRevision MetadataRefresh = "Revision"
	// RefreshLive passes a change to the running agents, within about two
	// minutes and without a new Revision.
	RefreshLive MetadataRefresh = "Live"
)

// ContentMode selects how an event is encoded for HTTP (CloudEvents HTTP
// protocol binding, section 3).
type ContentMode string

// The content modes of a logger.
const (
	// ContentModeAuto is binary if headers can carry every attribute unchanged,
	// and structured otherwise.
	ContentModeAuto       = ContentMode(agentconfig.ContentModeAuto)
	ContentModeBinary     = ContentMode(agentconfig.ContentModeBinary)
	ContentModeStructured = ContentMode(agentconfig.ContentModeStructured)
)

// LoggerSpec selects the events, their attributes and their sink.
//
// +kubebuilder:pruning:PreserveUnknownFields
type LoggerSpec struct {
	// Mode selects which sides of an exchange are sent: all, request or response.
	// Events of the kinds tunnel, loop and ledger are sent in every mode.
	// Default: all.
	// +optional
	Mode LoggerMode `json:"mode,omitempty"`
	// Sink receives the events: an addressable object such as a Broker or a
	// Knative Service (ref), or a URI. Default: the default-sink of the ConfigMap
	// config-logger, which is the Broker "default" of the namespace. Must not be
	// combined with url.
	// +optional
	Sink *duckv1.Destination `json:"sink,omitempty"`
	// URL is the address that receives the events, as in KFServing. It is short
	// for a sink with a uri. Must not be combined with sink.
	// +optional
	URL *apis.URL `json:"url,omitempty"`
	// MetadataAnnotations lists keys of annotations of the InferenceService, or of
	// the bound Knative Service. Each event carries the value of each as an
	// attribute. The attribute's name is the part of the key after the last slash, in lower case, without characters
	// other than a-z and 0-9; it must match ^[a-z][a-z0-9]{0,19}$. At most 32
	// attributes together with metadata, 1 KiB in one value, 4 KiB in all.
	// Default: none.
	// +optional
	// +listType=atomic
	MetadataAnnotations []string `json:"metadataAnnotations,omitempty"`
	// Metadata lists annotations like metadataAnnotations, with an explicit name
	// of the attribute for each. Default: none.
	// +optional
	// +listType=atomic
	Metadata []MetadataSource `json:"metadata,omitempty"`
	// MetadataRefresh selects how a changed annotation reaches the events.
	// Revision creates a new Revision. Live updates running agents within about
	// two minutes and creates none. Default: Revision.
	// +optional
	MetadataRefresh MetadataRefresh `json:"metadataRefresh,omitempty"`
	// Events lists the kinds of events that are sent: request, response, stream,
	// request.failure, response.failure, request.oversize, response.oversize,
	// request.encoded, response.encoded, tunnel, loop, ledger. Default: the kinds
	// of complete exchanges, which are request, response, stream,
	// request.oversize, response.oversize, request.encoded, response.encoded and
	// loop.
	// +optional
	// +listType=atomic
	Events []string `json:"events,omitempty"`
	// Paths lists patterns that select the inference requests by path. * matches
	// any characters, slashes included. A pattern with a leading ! excludes paths.
	// Examples: /v1/models/*:predict, !/internal/*. At most 32 patterns of 256
	// bytes each. Default, also with exclusions only: every path, except health
	// probes, requests for metadata and metrics scrapes.
	// +optional
	// +listType=atomic
	Paths []string `json:"paths,omitempty"`
	// ContentMode selects how events are encoded: binary, structured, or auto,
	// which is binary if headers can carry every attribute unchanged. Default:
	// auto.
	// +optional
	ContentMode ContentMode `json:"contentMode,omitempty"`
	// MaxPayloadBytes is the largest body in bytes that an event carries. A larger
	// one gives an event with its size and hash. From 1 to 16777216, and at most
	// half of the agent's buffer-bytes. Default: max-payload-bytes of the ConfigMap
	// config-agent, which is 716800.
	// +optional
	MaxPayloadBytes *int64 `json:"maxPayloadBytes,omitempty"`

	// Delivery sets retries, backoff, timeout and the dead letter sink. Its field
	// format is not supported; use contentMode. Default: the agent retries an
	// event for 10 minutes, or for an hour if it was spooled. Then it drops and
	// counts the event.
	// +optional
	Delivery *eventingduckv1.DeliverySpec `json:"delivery,omitempty"`

	// Spool adds a volume on which the agent keeps events while the sink is slow
	// or unavailable. Default: none. Events that exceed the agent's memory budget
	// are dropped and counted.
	// +optional
	Spool *SpoolSpec `json:"spool,omitempty"`

	// Resources sets requests and limits of the agent's container: cpu, memory
	// and ephemeral-storage. Each quantity replaces that of the ConfigMap
	// config-agent. The agent's GOMEMLIMIT, buffer-bytes and max-exchanges are
	// derived from a memory limit given here. Default: the settings of
	// config-agent.
	// +optional
	Resources *corev1.ResourceRequirements `json:"resources,omitempty"`

	// Unknown holds the fields that this version doesn't know, at any depth.
	Unknown UnknownFields `json:"-"`
}

// SpoolOverflow selects which events a full spool drops.
type SpoolOverflow string

// The behaviours of a full spool.
const (
	// DropOldest drops the oldest events to make room for new ones.
	DropOldest SpoolOverflow = "DropOldest"
	// DropNewest accepts no event until there is room.
	DropNewest SpoolOverflow = "DropNewest"
)

// SpoolSpec describes the spool's volume. It is an emptyDir, which survives a
// crash of the agent and is deleted with the pod.
type SpoolSpec struct {
	// SizeLimit is the size of the volume, from 16Mi to 1Ti. The spool uses three
	// quarters of it, because the kubelet evicts a pod whose volume exceeds its
	// limit. Required.
	// +optional
	SizeLimit *resource.Quantity `json:"sizeLimit,omitempty"`
	// WhenFull selects what is dropped when the spool is full. DropOldest drops
	// the oldest events. DropNewest accepts no event until there is room.
	// Default: DropOldest.
	// +optional
	WhenFull SpoolOverflow `json:"whenFull,omitempty"`
	// Sync makes spooled events survive a power loss of the node: each group of
	// events is synced to the disk. A crash of the agent doesn't need it.
	// Default: false.
	// +optional
	Sync bool `json:"sync,omitempty"`
}

// MetadataSource names an annotation and the attribute that carries its value.
type MetadataSource struct {
	// Attribute is the name of the CloudEvents attribute. It must match
	// ^[a-z][a-z0-9]{0,19}$. Names that CloudEvents, Knative or the event itself
	// uses are refused. Required.
	Attribute string `json:"attribute"`
	// Annotation is the key of an annotation of the InferenceService, or of the
	// bound Knative Service. Required.
	Annotation string `json:"annotation"`
}

// InferenceServiceStatus is the observed state of an InferenceService.
type InferenceServiceStatus struct {
	duckv1.Status `json:",inline"`

	// URL is the address for clients, of a host with the name of the
	// InferenceService. The transformer responds there, or else the predictor. As long
	// as RouteReady is not true, it is the address of that component.
	// +optional
	URL *apis.URL `json:"url,omitempty"`
	// Address is the same within the cluster.
	// +optional
	Address *duckv1.Addressable `json:"address,omitempty"`
	// Components has the state of each component's Knative Service. The keys are
	// predictor, transformer and explainer.
	// +optional
	Components map[ComponentType]ComponentStatus `json:"components,omitempty"`
	// Logger shows the logger settings that the predictor's running template has.
	// Absent if no agent runs.
	// +optional
	Logger *LoggerStatus `json:"logger,omitempty"`
	// ObservedMetadata is a hash of the metadata that events carry. A changed
	// annotation doesn't change the generation, so wait for a change of this field
	// instead.
	// +optional
	ObservedMetadata string `json:"observedMetadata,omitempty"`
}

// ComponentStatus is the state of a component's Knative Service.
type ComponentStatus struct {
	// ServiceName is the name of the Knative Service, and the source attribute of
	// the events.
	ServiceName string `json:"serviceName"`
	// ServiceGeneration is the generation of the Knative Service when the
	// controller last wrote or confirmed it. If the two differ, another client
	// changed the Knative Service.
	// +optional
	ServiceGeneration int64 `json:"serviceGeneration,omitempty"`
	// URL is the address of the Knative Service.
	// +optional
	URL *apis.URL `json:"url,omitempty"`
	// LatestCreatedRevision is the name of the Revision that was created last.
	// +optional
	LatestCreatedRevision string `json:"latestCreatedRevision,omitempty"`
	// LatestReadyRevision is the name of the Revision that became ready last.
	// +optional
	LatestReadyRevision string `json:"latestReadyRevision,omitempty"`
	// LatestRolledoutRevision is the name of the Revision that got all of the
	// traffic last. It gets the rest of the traffic of a canary.
	// +optional
	LatestRolledoutRevision string `json:"latestRolledoutRevision,omitempty"`
	// PreviousRolledoutRevision is the name of the Revision that got all of the
	// traffic before latestRolledoutRevision.
	// +optional
	PreviousRolledoutRevision string `json:"previousRolledoutRevision,omitempty"`
	// Traffic shows which Revisions get traffic, as Knative Serving reports it.
	// +optional
	// +listType=atomic
	Traffic []TrafficTarget `json:"traffic,omitempty"`
	// Logger shows the logger settings that the running template of the transformer
	// or the explainer has. Those of the predictor are in status.logger.
	// +optional
	Logger *LoggerStatus `json:"logger,omitempty"`
}

// TrafficTarget is a Revision that gets traffic.
type TrafficTarget struct {
	// RevisionName is the name of the Revision.
	RevisionName string `json:"revisionName"`
	// LatestRevision says that the Revision gets the traffic as the one that became
	// ready last.
	// +optional
	LatestRevision bool `json:"latestRevision,omitempty"`
	// Percent is the percentage of the traffic that the Revision gets.
	Percent int64 `json:"percent"`
	// Tag is prev for the earlier Revision of a canary.
	// +optional
	Tag string `json:"tag,omitempty"`
	// URL is the address of this Revision alone. Absent without a tag.
	// +optional
	URL *apis.URL `json:"url,omitempty"`
}

// LoggerStatus shows the logger settings that the running template has.
type LoggerStatus struct {
	// Mode shows which sides of an exchange are sent: all, request or response.
	Mode LoggerMode `json:"mode"`
	// SinkURI is the address of the sink. Absent if it has none; each event is
	// then dropped and counted.
	// +optional
	SinkURI *apis.URL `json:"sinkURI,omitempty"`
	// DeadLetterSinkURI is the address of the dead letter sink, which receives
	// the events that the sink doesn't accept. Absent if there is none.
	// +optional
	DeadLetterSinkURI *apis.URL `json:"deadLetterSinkURI,omitempty"`
	// Attributes lists the names of the metadata attributes that each event
	// carries.
	// +optional
	// +listType=atomic
	Attributes []string `json:"attributes,omitempty"`
	// MissingAnnotations lists the annotations that the specification names and
	// the object lacks.
	// +optional
	// +listType=atomic
	MissingAnnotations []string `json:"missingAnnotations,omitempty"`
	// AgentImage is the agent's image in the running template.
	// +optional
	AgentImage string `json:"agentImage,omitempty"`
}

// GetGroupVersionKind returns the type's group, version and kind.
func (*InferenceService) GetGroupVersionKind() schema.GroupVersionKind {
	return SchemeGroupVersion.WithKind("InferenceService")
}

// GetUntypedSpec returns the specification.
func (is *InferenceService) GetUntypedSpec() any { return is.Spec }

// GetStatus returns the part of the status that all Knative types share.
func (is *InferenceService) GetStatus() *duckv1.Status { return &is.Status.Status }

// GetConditionSet returns the conditions that Ready derives from.
func (is *InferenceService) GetConditionSet() apis.ConditionSet {
	return conditionSetOf(is.Spec.Components())
}

// ServiceName returns the name of a component's Knative Service, which is also
// the source of its events.
func (is *InferenceService) ServiceName(component ComponentType) string {
	return is.Name + "-" + string(component) + "-default"
}

// MetadataName returns the name of the ConfigMap that carries a component's
// metadata to running agents.
func (is *InferenceService) MetadataName(component ComponentType) string {
	return is.ServiceName(component) + "-metadata"
}

// TrustName returns the name of the ConfigMap that carries certificate
// authorities to a component's running agents.
func (is *InferenceService) TrustName(component ComponentType) string {
	return is.ServiceName(component) + "-trust"
}
