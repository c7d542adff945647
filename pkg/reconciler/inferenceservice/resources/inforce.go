/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package resources

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

	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// InForce is what a template has from the platform and not from the
// InferenceService's owner. A change of the template makes a new Revision,
// and for a model that can cost a GPU, so it is recorded with the Knative
// Service and stays until the owner's own change makes a new Revision anyway.
type InForce struct {
	// Agent is the agent's image and settings.
	Agent config.Agent `json:"agent"`
	// MultiContainerProbing says that Knative Serving takes probes on the model,
	// which then keeps its startup probe.
	MultiContainerProbing bool `json:"multiContainerProbing,omitempty"`
	// Observability is how the agent exports metrics and traces.
	Observability config.Observability `json:"observability,omitzero"`
	// Sink is where events go, or nil: nowhere, each is counted as dropped.
	Sink *Sink `json:"sink,omitempty"`
	// DeadLetterSink is where events go that the sink doesn't take, or nil:
	// each is counted as dropped.
	DeadLetterSink *Sink `json:"deadLetterSink,omitempty"`
	// Metadata are the attributes in the agent's arguments. Another value of one
	// is the owner's change under RefreshByRevision, and so in OwnerHash; under
	// RefreshLive the ConfigMap carries it. What the cluster denies since then
	// stays until the owner's next change.
	Metadata []metadata.Attribute `json:"metadata,omitempty"`
}

// Sink is a destination of events in a template.
type Sink struct {
	// Destination is what was resolved.
	Destination duckv1.Destination `json:"destination"`
	// ByDefault says that the cluster's default named it, not the owner.
	ByDefault bool `json:"byDefault,omitempty"`
	// Address is in the agent's arguments: the one that the sink had when the
	// template was made, without URL where it had none. It has no CACerts, which
	// MakeTrust carries to running agents.
	Address duckv1.Addressable `json:"address"`
	// Key is in the names of the files with the sink's present address and
	// CACerts, so that a Revision of another sink reads none of them. It is empty
	// in a template from before there were such files: a new address of its sink
	// makes a Revision.
	Key string `json:"key,omitempty"`
	// TokenAudience is the audience of the mounted token, or "" for none. In a
	// template without Key it is Address.Audience.
	TokenAudience string `json:"tokenAudience,omitempty"`
}

// audience gives that of the token that the template mounts, or "".
func (s *Sink) audience() string {
	switch {
	case s == nil:
		return ""
	case s.Key == "" && s.Address.Audience != nil:
		return *s.Address.Audience
	default:
		return s.TokenAudience
	}
}

// withoutCACerts gives a copy of an address without them.
func withoutCACerts(address *duckv1.Addressable) duckv1.Addressable {
	without := *address.DeepCopy()
	without.CACerts = nil
	return without
}

// WantedSink is what the owner or the cluster's default names as the sink now.
type WantedSink struct {
	Destination duckv1.Destination
	ByDefault   bool
	// Address is what the destination resolves to, or nil if it doesn't.
	Address *duckv1.Addressable
	// Refused says that the destination resolves to what must get nothing.
	Refused bool
}

// Wanted is what a template made anew would get from the platform.
type Wanted struct {
	Agent         config.Agent
	Observability config.Observability
	// MultiContainerProbing is whether Knative Serving's feature is on.
	MultiContainerProbing bool

	Sink WantedSink
	// DeadLetterSink is nil where none is named.
	DeadLetterSink *WantedSink
	// Metadata has none of the annotations that the cluster denies.
	Metadata []metadata.Attribute
}

// Decide says what holds for the template, given what held before (nil: there
// is no template yet) and whether the template is made anew in any case: the
// owner changed something, or it failed.
func Decide(before *InForce, renew bool, wanted Wanted) InForce {
	if before == nil {
		before, renew = &InForce{}, true
	}
	if !renew {
		sink, letters := decideSink(before.Sink, &wanted.Sink), decideSink(before.DeadLetterSink, wanted.DeadLetterSink)
		// A Revision is made by this controller's arguments, of which an older
		// agent may not know all: then everything is brought up to date.
		renew = !equality.Semantic.DeepEqual(before.Sink, sink) || !equality.Semantic.DeepEqual(before.DeadLetterSink, letters)
	}
	if !renew {
		return *before
	}
	return InForce{
		Agent: wanted.Agent, Observability: wanted.Observability, Metadata: wanted.Metadata,
		MultiContainerProbing: wanted.MultiContainerProbing,
		Sink:                  newSink(before.Sink, &wanted.Sink), DeadLetterSink: newSink(before.DeadLetterSink, wanted.DeadLetterSink),
	}
}

// decideSink says what a template that isn't made anew has, and so whether it
// can stay. It can where the sink's address is read from a file. Otherwise it
// stays where the address does, or the sink doesn't resolve now, or the cluster
// has another default since then.
func decideSink(before *Sink, wanted *WantedSink) *Sink {
	if wanted == nil {
		return nil
	}
	same := before != nil && equality.Semantic.DeepEqual(before.Destination, wanted.Destination)
	switch {
	case before != nil && before.ByDefault && wanted.ByDefault && !same, same && before.Key != "":
		return before
	case wanted.Refused:
		// Where it got events before this was known, too.
		return nil
	case wanted.Address != nil && same && keepsAudience(before, *wanted):
		return before
	case wanted.Address != nil && isRecordable(wanted.Destination):
		return &Sink{Destination: wanted.Destination, ByDefault: wanted.ByDefault, Address: withoutCACerts(wanted.Address)}
	case same:
		return before
	default:
		return nil
	}
}

// newSink gives the sink of a template that is made anew, which follows the
// sink's address from then on. The arguments have the address that there is
// now, or the last one of the same destination.
func newSink(before *Sink, wanted *WantedSink) *Sink {
	if wanted == nil || !isRecordable(wanted.Destination) {
		return nil
	}
	sink := &Sink{
		Destination: wanted.Destination, ByDefault: wanted.ByDefault,
		Key: keyOf(wanted.Destination), TokenAudience: v1beta1.ExpectedAudience(wanted.Destination),
	}
	same := before != nil && equality.Semantic.DeepEqual(before.Destination, wanted.Destination)
	switch {
	case wanted.Refused:
	case wanted.Address != nil:
		sink.Address = withoutCACerts(wanted.Address)
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

// isRecordable reports whether a destination has a JSON form, of a bounded size.
// One that hasn't is no sink.
func isRecordable(destination duckv1.Destination) bool {
	return v1beta1.ValidateURL(destination.URI) == nil
}

// keyOf names a destination.
func keyOf(destination duckv1.Destination) string {
	sum := sha256.Sum256(mustMarshal(destination))
	return hex.EncodeToString(sum[:4])
}

// keepsAudience reports whether the template has a token for an audience that
// the owner wrote and a new template would not get, and nothing else differs.
func keepsAudience(before *Sink, wanted WantedSink) bool {
	audience := before.Address.Audience
	if audience == nil || wanted.Address.Audience != nil || wanted.Destination.Audience == nil || *wanted.Destination.Audience != *audience {
		return false
	}
	address := withoutCACerts(wanted.Address)
	address.Audience = audience
	return equality.Semantic.DeepEqual(address, before.Address)
}

// WithoutForeignAudiences gives what holds for a template without the tokens
// that a sink's status asked for and may not have, and whether there were any.
// Such a token goes to somebody else, so its template is replaced at once. An
// audience that the owner wrote stays until the owner's next change.
func WithoutForeignAudiences(inForce *InForce, wanted Wanted, allowed []string) (*InForce, bool) {
	if inForce == nil {
		return nil, false
	}
	without, changed := *inForce, false
	revoke := func(sink *Sink, named *duckv1.Destination) *Sink {
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
	without.Sink = revoke(inForce.Sink, &wanted.Sink.Destination)
	var letters *duckv1.Destination
	if wanted.DeadLetterSink != nil {
		letters = &wanted.DeadLetterSink.Destination
	}
	without.DeadLetterSink = revoke(inForce.DeadLetterSink, letters)
	return &without, changed
}

// Behind names what a template made anew of an InferenceService would have
// otherwise.
func Behind(is *v1beta1.InferenceService, inForce InForce, wanted Wanted) []string {
	var differences []string
	if inForce.Agent.Image != wanted.Agent.Image {
		differences = append(differences, "agent image")
	}
	settings := inForce.Agent
	settings.Image = wanted.Agent.Image
	if !equality.Semantic.DeepEqual(settings, wanted.Agent) {
		differences = append(differences, "agent configuration")
	}
	if inForce.Observability != wanted.Observability {
		differences = append(differences, "metrics and traces")
	}
	if inForce.MultiContainerProbing != wanted.MultiContainerProbing && needsMultiContainerProbing(is.Spec.Predictor.Containers) {
		differences = append(differences, "setting of "+featureMultiContainerProbing)
	}
	if inForce.Sink != nil && inForce.Sink.ByDefault && wanted.Sink.ByDefault &&
		!equality.Semantic.DeepEqual(inForce.Sink.Destination, wanted.Sink.Destination) {
		differences = append(differences, "default sink")
	}
	return differences
}

// Recorded reads what a Knative Service that this controller wrote has in
// force, and the hash of what its owner had decided. Without a readable
// record there is none: the next write makes it.
func Recorded(service *servingv1.Service) (inForce *InForce, ownerHash string) {
	ownerHash = service.Annotations[serving.OwnerHashAnnotationKey]
	record, found := service.Annotations[serving.InForceAnnotationKey]
	if !found {
		return nil, ownerHash
	}
	inForce = &InForce{}
	if err := json.Unmarshal([]byte(record), inForce); err != nil {
		return nil, ownerHash
	}
	for _, sink := range []*Sink{inForce.Sink, inForce.DeadLetterSink} {
		if sink != nil {
			// Of a template that still has them in its arguments.
			sink.Address.CACerts = nil
		}
	}
	return inForce, ownerHash
}

// Holds reports whether the template of a live Knative Service was made from
// these inputs, of which its owner's are unchanged or not. It compares what the
// record means, not its form: a field that a later controller adds changes no
// running template.
func Holds(live *servingv1.Service, ownerUnchanged bool, inForce InForce) bool {
	recorded, _ := Recorded(live)
	if recorded == nil {
		recorded = &InForce{}
	}
	return ownerUnchanged && equality.Semantic.DeepEqual(*recorded, inForce)
}

// ServesAlone reports whether no pods but those of the latest Revision serve.
// Serving has seen the generation of the Service before that of its
// Configuration: until that is ready, the latest Revision may be one from before.
// In a gradual rollout a part of the traffic goes to the Revision before.
func ServesAlone(service *servingv1.Service) bool {
	latest := service.Status.LatestReadyRevisionName
	return service.IsReady() && service.Status.LatestCreatedRevisionName == latest &&
		!slices.ContainsFunc(service.Status.Traffic, func(target servingv1.TrafficTarget) bool { return target.RevisionName != latest })
}

// OthersServe reports whether pods may serve of another template than the one
// that is made from these inputs.
func OthersServe(live *servingv1.Service, ownerUnchanged bool, inForce InForce) bool {
	return live != nil && (!ServesAlone(live) || !Holds(live, ownerUnchanged, inForce))
}

// MayHaveAgents reports whether pods with an agent may serve: the template has
// one, or a Revision from before it serves.
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
