/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// Applied is the part of a template that comes from the platform, not from the
// InferenceService's owner. A change of the template makes a new Revision, which
// can cost a GPU. So this part is recorded with the Knative Service, and stays
// until the owner's own change makes a new Revision.
type Applied struct {
	// Agent is the agent's image and settings.
	Agent config.Agent `json:"agent"`
	// MultiContainerProbing says that Knative Serving accepts probes on the model.
	// The model keeps its startup probe then.
	MultiContainerProbing bool `json:"multiContainerProbing,omitempty"`
	// Observability is how the agent exports metrics and traces.
	Observability config.Observability `json:"observability,omitzero"`
	// Sink is the destination of events. If it is nil, each event is counted as
	// dropped.
	Sink *AppliedSink `json:"sink,omitempty"`
	// DeadLetterSink is the destination of events that the sink refuses. If it is
	// nil, they are counted as dropped.
	DeadLetterSink *AppliedSink `json:"deadLetterSink,omitempty"`
	// Metadata are the attributes in the agent's arguments. With RefreshByRevision
	// another value is the owner's change, so OwnerHash covers the values. With
	// RefreshLive the ConfigMap carries them. An attribute that the cluster denies
	// later makes a new template: DeniedIn.
	Metadata []metadata.Attribute `json:"metadata,omitempty"`
	// Headers are the headers of a request that give attributes. The same holds for
	// one that the cluster denies later.
	Headers []agentconfig.HeaderSource `json:"headers,omitempty"`
	// DeniedValues are the patterns of values that no header brings into an event. It
	// is empty without Headers, and if the patterns are those that agents have built
	// in.
	DeniedValues []string `json:"deniedValues,omitempty"`
	// RemovedDenied says that the template was made to remove an attribute that the
	// cluster denies. The Knative Services with such a template change in stages.
	RemovedDenied bool `json:"removedDenied,omitempty"`
}

// AppliedSink is a destination of events in a template.
type AppliedSink struct {
	// Destination is the destination as the owner or the cluster wrote it, with a
	// namespace.
	Destination duckv1.Destination `json:"destination"`
	// ByDefault says that the cluster's default named it, not the owner.
	ByDefault bool `json:"byDefault,omitempty"`
	// Address is the sink's address when the template was made. It is in the
	// agent's arguments. It has no URL if the sink had no address, and never
	// CACerts: MakeTrust carries them to running agents.
	Address duckv1.Addressable `json:"address"`
	// Key is in the names of the files with the sink's current address and
	// CACerts, so that a Revision of another sink doesn't read them. It is empty in
	// a template of a release without these files: there a new address of the sink
	// makes a Revision.
	Key string `json:"key,omitempty"`
	// TokenAudience is the audience of the mounted token, or "" for none. In a
	// template without Key it is Address.Audience.
	TokenAudience string `json:"tokenAudience,omitempty"`
}

// audience returns the audience of the mounted token, or "".
func (s *AppliedSink) audience() string {
	switch {
	case s == nil:
		return ""
	case s.Key == "" && s.Address.Audience != nil:
		return *s.Address.Audience
	default:
		return s.TokenAudience
	}
}

// withoutCACerts copies an address without its CACerts.
func withoutCACerts(address *duckv1.Addressable) duckv1.Addressable {
	without := *address.DeepCopy()
	without.CACerts = nil
	return without
}

// DesiredSink is the sink that the owner or the cluster's default names now.
type DesiredSink struct {
	Destination duckv1.Destination
	ByDefault   bool
	// Address is the resolved address, or nil if the destination has none.
	Address *duckv1.Addressable
	// Refused says that no event may go to the destination.
	Refused bool
}

// Desired is the part of a new template that comes from the platform.
type Desired struct {
	Agent         config.Agent
	Observability config.Observability
	// MultiContainerProbing is whether Knative Serving's feature is on.
	MultiContainerProbing bool

	Sink DesiredSink
	// DeadLetterSink is nil if none is named.
	DeadLetterSink *DesiredSink
	// Metadata and Headers have nothing that the cluster denies.
	Metadata []metadata.Attribute
	Headers  []agentconfig.HeaderSource
	// DeniedValues are the values that the cluster denies.
	DeniedValues metadata.DeniedValues
}

// Decide chooses between the recorded input of the template and the desired one.
// Before is nil if there is no template yet. Renew says that the template is
// replaced in any case, because the owner changed something or its Revision
// failed.
func Decide(before *Applied, renew bool, desired Desired) Applied {
	if before == nil {
		before, renew = &Applied{}, true
	}
	if !renew {
		sink, letters := decideSink(before.Sink, &desired.Sink), decideSink(before.DeadLetterSink, desired.DeadLetterSink)
		// A new Revision has the arguments of this controller, which an older agent
		// may not know. So everything is brought up to date.
		renew = !equality.Semantic.DeepEqual(before.Sink, sink) || !equality.Semantic.DeepEqual(before.DeadLetterSink, letters)
	}
	if !renew {
		return *before
	}
	return Applied{
		Agent: desired.Agent, Observability: desired.Observability, Metadata: desired.Metadata, Headers: desired.Headers,
		DeniedValues:          deniedValuesOf(desired),
		MultiContainerProbing: desired.MultiContainerProbing,
		Sink:                  newSink(before.Sink, &desired.Sink), DeadLetterSink: newSink(before.DeadLetterSink, desired.DeadLetterSink),
	}
}

// decideSink returns the sink of a template that the owner left unchanged. If it
// differs from before, the template is replaced. It stays if the agent reads the
// sink's address from a file, if the address is the same, if the sink has no
// address now, or if only the cluster's default changed.
func decideSink(before *AppliedSink, desired *DesiredSink) *AppliedSink {
	if desired == nil {
		return nil
	}
	same := before != nil && equality.Semantic.DeepEqual(before.Destination, desired.Destination)
	switch {
	case before != nil && before.ByDefault && desired.ByDefault && !same, same && before.Key != "":
		return before
	case desired.Refused:
		// Even if the sink has got events until now.
		return nil
	case desired.Address != nil && same && keepsAudience(before, *desired):
		return before
	case desired.Address != nil && isRecordable(desired.Destination):
		return &AppliedSink{Destination: desired.Destination, ByDefault: desired.ByDefault, Address: withoutCACerts(desired.Address)}
	case same:
		return before
	default:
		return nil
	}
}

// newSink returns the sink of a new template, whose agents read the sink's address
// from a file. The arguments have the current address, or the last one of the
// same destination.
func newSink(before *AppliedSink, desired *DesiredSink) *AppliedSink {
	if desired == nil || !isRecordable(desired.Destination) {
		return nil
	}
	sink := &AppliedSink{
		Destination: desired.Destination, ByDefault: desired.ByDefault,
		Key: keyOf(desired.Destination), TokenAudience: v1beta1.ExpectedAudience(desired.Destination),
	}
	same := before != nil && equality.Semantic.DeepEqual(before.Destination, desired.Destination)
	switch {
	case desired.Refused:
	case desired.Address != nil:
		sink.Address = withoutCACerts(desired.Address)
		if audience := sink.Address.Audience; audience != nil {
			sink.TokenAudience = *audience
		}
	case same:
		sink.Address = before.Address
		if audience := before.audience(); audience != "" {
			sink.TokenAudience = audience
		}
	}
	sink.Address.Audience = nil
	return sink
}

// isRecordable reports whether a destination has a JSON form of a bounded size.
// A destination without one can't be a sink.
func isRecordable(destination duckv1.Destination) bool {
	return v1beta1.ValidateURL(destination.URI) == nil
}

// keyOf names a destination.
func keyOf(destination duckv1.Destination) string {
	sum := sha256.Sum256(mustMarshal(destination))
	return hex.EncodeToString(sum[:4])
}

// keepsAudience reports whether the template differs from a new one only in its
// token, and the owner wrote the audience of that token.
func keepsAudience(before *AppliedSink, desired DesiredSink) bool {
	audience := before.Address.Audience
	if audience == nil || desired.Address.Audience != nil || desired.Destination.Audience == nil || *desired.Destination.Audience != *audience {
		return false
	}
	address := withoutCACerts(desired.Address)
	address.Audience = audience
	return equality.Semantic.DeepEqual(address, before.Address)
}

// WithoutForeignAudiences removes the tokens that a sink's status asked for but
// may not have, and reports whether there were any. Such a token is somebody
// else's credential, so its template is replaced at once. An audience that the
// owner wrote stays until the owner's next change.
func WithoutForeignAudiences(applied *Applied, desired Desired, allowed []string) (*Applied, bool) {
	if applied == nil {
		return nil, false
	}
	without, changed := *applied, false
	revoke := func(sink *AppliedSink, named *duckv1.Destination) *AppliedSink {
		audience := sink.audience()
		if audience == "" {
			return sink
		}
		if v1beta1.PermitsAudience(sink.Destination, audience, allowed) ||
			(named != nil && named.Audience != nil && *named.Audience == audience) {
			return sink
		}
		changed = true
		revoked := *sink
		revoked.Address.Audience, revoked.TokenAudience = nil, ""
		return &revoked
	}
	without.Sink = revoke(applied.Sink, &desired.Sink.Destination)
	var letters *duckv1.Destination
	if desired.DeadLetterSink != nil {
		letters = &desired.DeadLetterSink.Destination
	}
	without.DeadLetterSink = revoke(applied.DeadLetterSink, letters)
	return &without, changed
}

// Behind names the differences between a template and a new one. The containers
// are those of the model's owner.
func Behind(containers []corev1.Container, applied Applied, desired Desired) []string {
	var differences []string
	if applied.Agent.Image != desired.Agent.Image {
		differences = append(differences, "agent image")
	}
	settings := applied.Agent
	settings.Image = desired.Agent.Image
	if !equality.Semantic.DeepEqual(settings, desired.Agent) {
		differences = append(differences, "agent configuration")
	}
	if applied.Observability != desired.Observability {
		differences = append(differences, "metrics and traces")
	}
	if applied.MultiContainerProbing != desired.MultiContainerProbing && needsMultiContainerProbing(containers) {
		differences = append(differences, "setting of "+featureMultiContainerProbing)
	}
	if applied.Sink != nil && applied.Sink.ByDefault && desired.Sink.ByDefault &&
		!equality.Semantic.DeepEqual(applied.Sink.Destination, desired.Sink.Destination) {
		differences = append(differences, "default sink")
	}
	return differences
}

// LastApplied reads the record and the owner's hash from the annotations of a Knative
// Service. Applied is nil if there is no record that can be read: the next write
// makes one.
func LastApplied(service *servingv1.Service) (applied *Applied, ownerHash string) {
	ownerHash = service.Annotations[serving.OwnerHashAnnotationKey]
	record, found := service.Annotations[serving.LastAppliedAnnotationKey]
	if !found {
		return nil, ownerHash
	}
	applied = &Applied{}
	if err := json.Unmarshal([]byte(record), applied); err != nil {
		return nil, ownerHash
	}
	for _, sink := range []*AppliedSink{applied.Sink, applied.DeadLetterSink} {
		if sink != nil {
			// An older template has them in its arguments.
			sink.Address.CACerts = nil
		}
	}
	return applied, ownerHash
}

// Holds reports whether the template of a live Knative Service was made from this
// input. It compares the values of the record, not its text, so that a field that
// a later controller adds changes no running template.
func Holds(live *servingv1.Service, ownerUnchanged bool, applied Applied) bool {
	lastApplied, _ := LastApplied(live)
	if lastApplied == nil {
		lastApplied = &Applied{}
	}
	return ownerUnchanged && equality.Semantic.DeepEqual(*lastApplied, applied)
}

// ServesAlone reports whether only pods of the latest Revision serve. Serving
// observes the generation of the Service before that of its Configuration: until
// the Service is ready, the Revision that it names as the latest may be an earlier
// one. In a gradual rollout the earlier Revision gets a part of the traffic.
func ServesAlone(service *servingv1.Service) bool {
	latest := service.Status.LatestReadyRevisionName
	return service.IsReady() && service.Status.LatestCreatedRevisionName == latest &&
		!slices.ContainsFunc(service.Status.Traffic, func(target servingv1.TrafficTarget) bool { return target.RevisionName != latest })
}

// OthersServe reports whether pods of another template may serve.
func OthersServe(live *servingv1.Service, ownerUnchanged bool, applied Applied) bool {
	return live != nil && (!ServesAlone(live) || !Holds(live, ownerUnchanged, applied))
}

// MayHaveAgents reports whether pods with an agent may serve: the template has an
// agent, or an earlier Revision serves.
func MayHaveAgents(live *servingv1.Service) bool {
	return live != nil && (!ServesAlone(live) ||
		slices.ContainsFunc(live.Spec.Template.Spec.Containers, func(c corev1.Container) bool { return c.Name == v1beta1.AgentContainerName }))
}

// Failed reports whether the latest Revision of a Knative Service has failed,
// as far as Serving has seen its latest generation.
func Failed(service *servingv1.Service) bool {
	return service.Generation == service.Status.ObservedGeneration &&
		service.Status.GetCondition(servingv1.ServiceConditionConfigurationsReady).IsFalse()
}

func mustMarshal(value any) []byte {
	data, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("%T has no JSON form: %v", value, err))
	}
	return data
}
