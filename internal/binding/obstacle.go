/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package binding

// Obstacle says why the template of a Knative Service can't have the agent, or
// can't lose it now, and what to do about it.
type Obstacle struct {
	// Reason is one of the reasons of this package.
	Reason string
	// Message says what is in the way, and the remedy.
	Message string
}

func (o *Obstacle) Error() string { return o.Reason + ": " + o.Message }

// The reasons why a selected Knative Service has no agent, or an earlier one.
const (
	// OtherBinding: an older binding selects the Knative Service, too.
	OtherBinding = "OtherBinding"
	// NamespaceNotIncluded: the namespace lacks the label that includes it.
	NamespaceNotIncluded = "NamespaceNotIncluded"
	// NextChange: the template follows with its owner's next change.
	NextChange = "NextChange"
	// InRollout: the template follows later in the rollout.
	InRollout = "InRollout"
	// Missing: there is no Knative Service of the name that the binding gives.
	Missing = "Missing"

	// Conflict: KServe's own agent is added to the pods.
	Conflict = "Conflict"
	// OwnLogger: an InferenceService of Sidenote makes the Knative Service.
	OwnLogger = "OwnLogger"
	// WaitingForRevisionName: the owner names the Revisions, so only a new name
	// takes a change.
	WaitingForRevisionName = "WaitingForRevisionName"
	// ReservedPort: the model listens on a port of the agent.
	ReservedPort = "ReservedPort"
	// ReservedName: a container or a volume has a name of the agent's.
	ReservedName = "ReservedName"
	// Refused: Knative Serving would refuse the template with the agent.
	Refused = "Refused"
)
