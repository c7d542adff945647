/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	"cmp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	duckv1 "knative.dev/pkg/apis/duck/v1"
)

const (
	eventingGroup  = "eventing.knative.dev"
	sinksGroup     = "sinks.knative.dev"
	messagingGroup = "messaging.knative.dev"
	flowsGroup     = "flows.knative.dev"
)

// OwnAudience returns the audience that Knative Eventing gives the object that a
// destination names (knative.dev/eventing/pkg/auth.GetAudience), or "" for one
// of Kubernetes' own kinds and for a URI, which have none.
func OwnAudience(destination duckv1.Destination) string {
	ref := destination.Ref
	if ref == nil {
		return ""
	}
	version, err := schema.ParseGroupVersion(ref.APIVersion)
	if err != nil || version.Group == "" {
		return ""
	}
	return audienceOf(version.Group, ref.Kind, ref.Namespace, ref.Name)
}

// ExpectedAudience returns the audience that a sink will ask a token for once
// Eventing authenticates senders, or "" where that isn't known: Eventing's own
// kinds ask for their own, but for those that take over the address of a
// channel behind them.
func ExpectedAudience(destination duckv1.Destination) string {
	if destination.Ref == nil {
		return ""
	}
	version, err := schema.ParseGroupVersion(destination.Ref.APIVersion)
	if err != nil {
		return ""
	}
	switch {
	case version.Group == eventingGroup, version.Group == sinksGroup,
		version.Group == messagingGroup && destination.Ref.Kind != "Channel":
		return OwnAudience(destination)
	}
	return ""
}

// IdentityOf returns the subject of the tokens of a pod's service account. An empty
// name is that of the default account.
func IdentityOf(namespace, serviceAccount string) string {
	return "system:serviceaccount:" + namespace + ":" + cmp.Or(serviceAccount, "default")
}

func audienceOf(group, kind, namespace, name string) string {
	return strings.ToLower(group + "/" + kind + "/" + namespace + "/" + name)
}

// PermitsAudience reports whether a token of the model's service account for
// an audience may go to a destination: the audience is the destination's own,
// or the cluster allows it. Whoever writes the status of a sink would get a
// credential of the model's for any service otherwise.
func PermitsAudience(destination duckv1.Destination, audience string, allowed []string) bool {
	return slices.Contains(allowed, audience) ||
		(audience != "" && (audience == OwnAudience(destination) || isBackingChannels(destination, audience)))
}

// isBackingChannels reports whether an audience is that of the channel which
// Eventing makes for a Channel, a Sequence or a Parallel, whose address it
// takes over. Of what kind that is the cluster's configuration decides.
func isBackingChannels(destination duckv1.Destination, audience string) bool {
	ref := destination.Ref
	if ref == nil {
		return false
	}
	version, err := schema.ParseGroupVersion(ref.APIVersion)
	if err != nil {
		return false
	}
	name := ref.Name
	switch {
	case version.Group == messagingGroup && ref.Kind == "Channel":
	case version.Group == flowsGroup && ref.Kind == "Sequence":
		name += "-kn-sequence-0"
	case version.Group == flowsGroup && ref.Kind == "Parallel":
		name += "-kn-parallel"
	default:
		return false
	}
	parts := strings.Split(audience, "/")
	return len(parts) == 4 && strings.HasSuffix(parts[1], "channel") &&
		audience == audienceOf(messagingGroup, parts[1], ref.Namespace, name)
}
