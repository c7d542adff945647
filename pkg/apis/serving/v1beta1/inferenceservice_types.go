/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	"knative.dev/pkg/kmeta"
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
// +kubebuilder:printcolumn:name="Attributes",type=string,priority=1,JSONPath=`.status.logger.attributes`
// +kubebuilder:printcolumn:name="MissingAnnotations",type=string,priority=1,JSONPath=`.status.logger.missingAnnotations`
// +kubebuilder:printcolumn:name="Sink",type=string,priority=1,JSONPath=`.status.logger.sinks[0].uri`
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
