/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	eventingduckv1 "knative.dev/eventing/pkg/apis/duck/v1"
	eventingv1 "knative.dev/eventing/pkg/apis/eventing/v1"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
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
	// Sinks lists several sinks, each with its own copy of the events. They fail
	// apart from each other. At most 8. Must not be combined with sink or url.
	// +optional
	// +listType=atomic
	Sinks []LoggerSink `json:"sinks,omitempty"`
	// Profile selects the types, ids and attributes of the events: sidenote, or
	// kserve, which subscribers of KServe's logger understand. With kserve, the events
	// are in binary mode, and those sent by default are request and response. Default:
	// sidenote.
	// +optional
	Profile EventProfile `json:"profile,omitempty"`
	// Filter selects the events that are sent, in the form of a filter of a Trigger:
	// one of exact, prefix, suffix, all, any, not and cesql. Default: all events.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=object
	// +kubebuilder:pruning:PreserveUnknownFields
	Filter *eventingv1.SubscriptionsAPIFilter `json:"filter,omitempty"`
	// Auth has static credentials for a sink outside the cluster. Default: none. A
	// sink with an OIDC audience gets a token of the pod's service account without it.
	// +optional
	Auth *SinkAuth `json:"auth,omitempty"`
	// MetadataAnnotations lists keys of annotations of the InferenceService, or of
	// the bound Knative Service. Each event carries the value of each as an
	// attribute. The attribute's name is the part of the key after the last slash,
	// in lower case, without characters other than a-z and 0-9; it must match
	// ^[a-z][a-z0-9]{0,19}$. With metadataRefresh Live, a key may be a pattern such
	// as example.com/*, for all keys with that prefix. At most 32 attributes together
	// with metadata, metadataHeaders and ceOverrides, 1 KiB in one value, 4 KiB in
	// all. Default: none.
	// +optional
	// +listType=atomic
	MetadataAnnotations []string `json:"metadataAnnotations,omitempty"`
	// Metadata lists attributes, each with the source of its value: an annotation, a
	// label, a header of the request, or a fixed value. Default: none.
	// +optional
	// +listType=atomic
	Metadata []MetadataSource `json:"metadata,omitempty"`
	// MetadataHeaders lists headers of the client's request, as KServe does. It is
	// short for metadata with the header's name as the attribute's name, in lower
	// case, without characters other than a-z and 0-9. Default: none.
	// +optional
	// +listType=atomic
	MetadataHeaders []string `json:"metadataHeaders,omitempty"`
	// CEOverrides adds fixed attributes to each event, as in Knative's sources. The
	// rules for metadata hold for their names and values: an attribute that the event
	// has anyway can't be overridden. Default: none.
	// +optional
	CEOverrides *duckv1.CloudEventOverrides `json:"ceOverrides,omitempty"`
	// MetadataRefresh selects how a changed annotation or label reaches the events.
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

	// Streams selects the data of a stream event: frames, the frames as the model
	// sent them, or merged, the merged response of the OpenAI and Anthropic APIs.
	// Default: frames.
	// +optional
	Streams LoggerStreams `json:"streams,omitempty"`
	// Sampling sends the events of some exchanges only. An exchange sends both of its
	// events or none. Default: all exchanges.
	// +optional
	Sampling *SamplingSpec `json:"sampling,omitempty"`
	// MaxEventsPerSecond bounds the events of each pod, from 1 to 1000000 in a
	// second. Ledger events don't count. Further events are dropped and counted.
	// Default: no bound.
	// +optional
	MaxEventsPerSecond *int64 `json:"maxEventsPerSecond,omitempty"`

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

// LoggerSink is one of several sinks of a logger. Each field but name, sink and
// url has the value of the logger's field of that name by default.
type LoggerSink struct {
	// Name is the name of the sink in metrics and in the status: 1 to 63 characters
	// a-z, 0-9 and -. Required.
	Name string `json:"name"`
	// Sink receives the events: an addressable object (ref), or a URI. Exactly one of
	// sink and url is required.
	// +optional
	Sink *duckv1.Destination `json:"sink,omitempty"`
	// URL is short for a sink with a uri.
	// +optional
	URL *apis.URL `json:"url,omitempty"`
	// Mode selects which sides of an exchange are sent: all, request or response.
	// +optional
	Mode LoggerMode `json:"mode,omitempty"`
	// Events lists the kinds of events that are sent.
	// +optional
	// +listType=atomic
	Events []string `json:"events,omitempty"`
	// Profile selects the types, ids and attributes of the events: sidenote or
	// kserve.
	// +optional
	Profile EventProfile `json:"profile,omitempty"`
	// Filter selects the events that are sent, in the form of a filter of a Trigger.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=object
	// +kubebuilder:pruning:PreserveUnknownFields
	Filter *eventingv1.SubscriptionsAPIFilter `json:"filter,omitempty"`
	// Auth has static credentials for a sink outside the cluster.
	// +optional
	Auth *SinkAuth `json:"auth,omitempty"`
	// Delivery sets retries, backoff, timeout and the dead letter sink.
	// +optional
	Delivery *eventingduckv1.DeliverySpec `json:"delivery,omitempty"`
	// Spool adds a volume for this sink, on which the agent keeps events while the
	// sink is slow or unavailable.
	// +optional
	Spool *SpoolSpec `json:"spool,omitempty"`
}

// SinkAuth has static credentials for a sink outside the cluster, from a Secret of
// the namespace: exactly one of bearer and basic. They are sent over https only.
type SinkAuth struct {
	// Bearer is the key of a Secret with a bearer token.
	// +optional
	Bearer *corev1.SecretKeySelector `json:"bearer,omitempty"`
	// Basic is a Secret of type kubernetes.io/basic-auth, with the keys username and
	// password.
	// +optional
	Basic *corev1.LocalObjectReference `json:"basic,omitempty"`
}

// EventProfile selects the types, ids and attributes of events.
type EventProfile string

// The profiles.
const (
	ProfileSidenote = EventProfile(agentconfig.ProfileSidenote)
	ProfileKServe   = EventProfile(agentconfig.ProfileKServe)
)

// LoggerStreams selects the data of a stream event.
type LoggerStreams string

// The data of a stream event.
const (
	StreamFrames = LoggerStreams(agentconfig.StreamFrames)
	StreamMerged = LoggerStreams(agentconfig.StreamMerged)
)

// SamplingSpec selects exchanges by chance: exactly one of percent and oneIn. Each
// event has the attribute sampledrate, which says how many exchanges it stands for.
type SamplingSpec struct {
	// Percent is the share of the exchanges that are sent: a decimal number above 0
	// and up to 100, with at most four digits after the point, such as "1" or "0.5".
	// +optional
	Percent string `json:"percent,omitempty"`
	// OneIn is a number of exchanges of which one is sent, from 1 to 1000000.
	// +optional
	OneIn *int64 `json:"oneIn,omitempty"`
	// KeepFailures also sends every exchange that fails: a side broke off, there was
	// no response, its status is not 2xx, or its gRPC status is not 0. The agent then
	// holds the event of a request until its exchange ends. If events is unset,
	// request.failure and response.failure are sent, too. Default: false.
	// +optional
	KeepFailures bool `json:"keepFailures,omitempty"`
	// KeepSlowerThan also sends every exchange that takes longer, from 1ms to 24h,
	// such as 2s. The agent then holds the event of a request until its exchange
	// ends. Default: none.
	// +optional
	KeepSlowerThan *metav1.Duration `json:"keepSlowerThan,omitempty"`
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

// MetadataSource names an attribute and the source of its value: exactly one of
// annotation, label, header and value.
type MetadataSource struct {
	// Attribute is the name of the CloudEvents attribute. It must match
	// ^[a-z][a-z0-9]{0,19}$. Names that CloudEvents, Knative or the event itself
	// uses are refused. Required.
	Attribute string `json:"attribute"`
	// Annotation is the key of an annotation of the InferenceService, or of the
	// bound Knative Service.
	// +optional
	Annotation string `json:"annotation,omitempty"`
	// Label is the key of a label of the InferenceService, or of the bound Knative
	// Service.
	// +optional
	Label string `json:"label,omitempty"`
	// Header is the name of a header of the client's request. Case doesn't matter.
	// Both events of an exchange carry its value, if the request has the header.
	// Header values may have the bytes that the other attributes leave of 4 KiB.
	// Headers that carry credentials are refused: Authorization,
	// Proxy-Authorization, Cookie, Set-Cookie, and those that the cluster's deny list
	// matches.
	// +optional
	Header string `json:"header,omitempty"`
	// Value is a fixed value: text of one line of at most 1 KiB.
	// +optional
	Value string `json:"value,omitempty"`
}

// SinkStatus shows where the events for a sink go.
type SinkStatus struct {
	// Name is the name of the sink; default if the specification lists none.
	Name string `json:"name"`
	// URI is the address of the sink. Absent if it has none; each event for it is
	// then dropped and counted.
	// +optional
	URI *apis.URL `json:"uri,omitempty"`
	// DeadLetterURI is the address of its dead letter sink. Absent if there is none.
	// +optional
	DeadLetterURI *apis.URL `json:"deadLetterURI,omitempty"`
	// Audience is the OIDC audience of the token that the agent sends to the sink.
	// Absent without a token.
	// +optional
	Audience string `json:"audience,omitempty"`
	// DeadLetterAudience is the same for the dead letter sink.
	// +optional
	DeadLetterAudience string `json:"deadLetterAudience,omitempty"`
	// Identity is the subject of these tokens, which an EventPolicy names:
	// system:serviceaccount:NAMESPACE:NAME of the pod's service account.
	// +optional
	Identity string `json:"identity,omitempty"`
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
	// Sinks lists all sinks. SinkURI and deadLetterSinkURI are absent if the
	// specification lists sinks.
	// +optional
	// +listType=map
	// +listMapKey=name
	Sinks []SinkStatus `json:"sinks,omitempty"`
	// Attributes lists the names of the metadata attributes that each event
	// carries.
	// +optional
	// +listType=atomic
	Attributes []string `json:"attributes,omitempty"`
	// HeaderAttributes lists the names of the metadata attributes that the events of
	// an exchange carry if the request has their headers.
	// +optional
	// +listType=atomic
	HeaderAttributes []string `json:"headerAttributes,omitempty"`
	// MissingAnnotations lists the annotations that the specification names and
	// the object lacks.
	// +optional
	// +listType=atomic
	MissingAnnotations []string `json:"missingAnnotations,omitempty"`
	// MissingLabels lists the labels that the specification names and the object
	// lacks.
	// +optional
	// +listType=atomic
	MissingLabels []string `json:"missingLabels,omitempty"`
	// AgentImage is the agent's image in the running template.
	// +optional
	AgentImage string `json:"agentImage,omitempty"`
}
