/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inferenceservice

import (
	"cmp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/internal/knativeservice"
	"github.com/sidenote-dev/sidenote/internal/reconciler/configmaps"
	"github.com/sidenote-dev/sidenote/internal/reconciler/sinks"
	"github.com/sidenote-dev/sidenote/internal/reconciler/stages"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// retryUnresolved is the time until a sink without an address is resolved
// again. A tracked object wakes the controller when it appears. The kind of the
// object does not, when Eventing is installed later.
const retryUnresolved = time.Minute

// retryRemoving is the time until a Knative Service asks again for its turn to lose an
// attribute that the cluster denies.
const retryRemoving = 10 * time.Second

// Live is the state of the cluster that concerns one InferenceService. An object
// that doesn't exist is nil.
type Live struct {
	// Components has every component that there may be: one that the InferenceService
	// had may still be there.
	Components map[v1beta1.ComponentType]*LiveComponent
	// Route is the Knative Route with the name of the InferenceService.
	Route *servingv1.Route
	// NamespaceTrust is the fingerprint of a ConfigMap.
	NamespaceTrust *corev1.ConfigMap
	// NamespaceReadsTrust says that pods of the namespace read NamespaceTrust.
	NamespaceReadsTrust bool
	// Removing are the Knative Services of the cluster that got a template without an
	// attribute that the cluster denies, and aren't ready yet.
	Removing []string
}

// LiveComponent is the state of one component.
type LiveComponent struct {
	// Service is the component's Knative Service.
	Service *servingv1.Service
	// Trust and Metadata are fingerprints of ConfigMaps.
	Trust, Metadata *corev1.ConfigMap
	// LastMetadata are the attributes that running agents have from the ConfigMap. They
	// are read only if the metadata is live and a present value can't go into an event.
	LastMetadata []metadata.Attribute
	// Sinks are the results of resolving the destinations.
	Sinks sinks.Resolutions
}

// Platform is the configuration that all InferenceServices share.
type Platform struct {
	*config.Config
	// MultiContainerProbing reports whether Knative Serving's feature is on.
	MultiContainerProbing bool
	// Trust has the certificate authorities of the cluster.
	Trust knativeservice.Trust
}

// Changes are the writes that bring the cluster to the desired state, and the
// status that follows from them.
type Changes struct {
	// ConfigMaps are written in this order, before the Knative Services: pods must
	// find the files that they mount. A write that fails doesn't hold back a Knative
	// Service, because serving never depends on logging.
	ConfigMaps []configmaps.Change
	// Components has a change of each component, the predictor's first.
	Components []ComponentChange
	// Route is created or updated. It is nil if the live one stays as it is, or is
	// that of somebody else.
	Route *servingv1.Route
	// RetryAfter is the time until the next attempt, or 0 if a change of an object
	// starts it.
	RetryAfter time.Duration

	before *v1beta1.InferenceServiceStatus
}

// ComponentChange is the change of one component.
type ComponentChange struct {
	knativeservice.Component
	// Service is created or updated. It is nil if the live one stays as it is.
	Service *servingv1.Service
	// Removed says that the InferenceService has no such component. Delete is its
	// Knative Service, or nil if there is none.
	Removed bool
	Delete  *servingv1.Service
	// Foreign is the Knative Service of somebody else that has the component's name,
	// so that nothing can be written.
	Foreign *servingv1.Service

	rollout knativeservice.Rollout
	// logger and loggerBefore are what the status says of the logger once Service is
	// written, and if it can't be. They are nil without a logger.
	logger, loggerBefore *v1beta1.InferenceServiceStatus
	// sent are the attributes of the component's events.
	sent []metadata.Attribute
}

// Plan decides what to write for an InferenceService. It does no I/O and leaves
// its arguments unchanged.
func Plan(is *v1beta1.InferenceService, live Live, platform Platform) Changes {
	changes := Changes{before: &is.Status}
	shared := configmaps.NamespaceTrust(is.Namespace, live.NamespaceTrust, live.NamespaceReadsTrust, platform.Trust)
	if !is.Spec.HasLogger() {
		shared = silent(shared)
	}
	removing := slices.Clone(live.Removing)
	for _, component := range v1beta1.ComponentTypes() {
		present := live.Components[component]
		if present == nil {
			present = &LiveComponent{}
		}
		change := ComponentChange{Component: knativeservice.ComponentOf(is, component)}
		switch owned := present.Service == nil || metav1.IsControlledBy(present.Service, is); {
		case is.Spec.Component(component) == nil:
			changes.ConfigMaps = append(changes.ConfigMaps, change.remove(*present, owned)...)
		case !owned:
			change.Foreign = present.Service
		case change.Spec.Logger == nil:
			changes.ConfigMaps = append(append(changes.ConfigMaps, shared...), planWithoutLogger(change.Component, *present)...)
			shared = nil
			change.planService(present.Service, nil, knativeservice.Applied{})
		default:
			configMaps, retryAfter := change.planWithLogger(*present, platform, shared, &removing)
			changes.ConfigMaps = append(changes.ConfigMaps, configMaps...)
			changes.RetryAfter = max(changes.RetryAfter, retryAfter)
			shared = nil
		}
		changes.Components = append(changes.Components, change)
		// An existing Route stays where it leads until the component in front is there.
		if component == is.Spec.Front() && change.Foreign == nil && (live.Route == nil || present.Service != nil) {
			changes.Route = planRoute(is, live.Route, cmp.Or(change.Service, present.Service))
		}
	}
	return changes
}

// planRoute returns the Knative Route to write, or nil. Service is the one in
// front.
func planRoute(is *v1beta1.InferenceService, live *servingv1.Route, service *servingv1.Service) *servingv1.Route {
	desired := knativeservice.MakeRoute(is, service)
	if live == nil {
		return desired
	}
	updated, changed := knativeservice.TakeOverRoute(live, desired)
	if !changed || !metav1.IsControlledBy(live, is) {
		return nil
	}
	return updated
}

// remove deletes what is left of a component.
func (c *ComponentChange) remove(live LiveComponent, owned bool) []configmaps.Change {
	c.Removed = true
	if owned && live.Service != nil && live.Service.DeletionTimestamp == nil {
		c.Delete = live.Service
	}
	if !owned {
		live.Service = nil
	}
	return planWithoutLogger(c.Component, live)
}

// planWithLogger plans a component with a logger. Shared are the changes of what
// all InferenceServices of the namespace share, and removing is Live.Removing with the
// Knative Services that change now.
func (c *ComponentChange) planWithLogger(live LiveComponent, platform Platform, shared []configmaps.Change, removing *[]string) (configMaps []configmaps.Change, retryAfter time.Duration) {
	status := &v1beta1.InferenceServiceStatus{Logger: lastLogger(&c.Of.Status, c.Type)}
	accepted := planSinks(c.Component, live, platform.Logger, status)
	selection := selectMetadata(c.Component, live, platform.Logger)
	desired := knativeservice.Desired{
		Agent: *platform.Agent, Observability: *platform.Observability,
		MultiContainerProbing: platform.MultiContainerProbing,

		Sinks: accepted.Desired, Metadata: selection.Attributes, Headers: selection.Headers,
		DeniedValues: platform.Logger.DeniedValues,
	}
	applied, ownerUnchanged, sent := planTemplate(c.Component, live.Service, selection.Listed, desired, platform.Logger, removing)
	// Pods of another template keep what they read.
	others := knativeservice.OthersServe(live.Service, ownerUnchanged, applied)
	configMaps = append(planMetadata(c.Component, live, selection.Attributes, platform.Logger.DeniedValues, others), shared...)
	configMaps = append(configMaps, planTrust(c.Component, live, platform.Trust, applied, desired, others, status)...)
	c.planService(live.Service, selection.Listed, applied)

	c.loggerBefore = status.DeepCopy()
	c.sent = reportLogger(c.Component, status, applied, desired, live, selection)
	reportDenied(status, selection, sent, *removing, applied.RemovedDenied && (c.Service != nil || !live.Service.IsReady()))
	c.logger = status
	if accepted.Unresolved {
		retryAfter = retryUnresolved
	}
	if len(sent) > 0 {
		retryAfter = retryRemoving
	}
	return configMaps, retryAfter
}

// planTemplate decides what the template gets from the platform, and says
// whether its owner left it unchanged. A template with an attribute that the cluster
// denies is replaced, if there is room beside others that are. If not, the attributes
// that agents still send are returned.
func planTemplate(component knativeservice.Component, live *servingv1.Service, listed []metadata.Attribute, desired knativeservice.Desired, logger *config.Logger, removing *[]string) (applied knativeservice.Applied, ownerUnchanged bool, sent []string) {
	if live == nil {
		return knativeservice.Decide(nil, true, desired), false, nil
	}
	before, recordedHash := knativeservice.LastApplied(live)
	ownerUnchanged = knativeservice.OwnerUnchanged(recordedHash, component, listed)
	before, revoked := knativeservice.WithoutForeignAudiences(before, desired, logger.AllowedAudiences)
	// A template whose Revision failed serves nobody: a fixed image of the agent
	// may replace it at once.
	renew := !ownerUnchanged || knativeservice.Failed(live) || revoked
	removes := false
	if !renew {
		sent = knativeservice.DeniedIn(before, component.Spec.Logger, logger)
		if len(sent) > 0 && stages.Room(1, len(*removing)) > 0 {
			*removing = append(*removing, live.Namespace+"/"+live.Name)
			renew, removes, sent = true, true, nil
		}
	}
	applied = knativeservice.Decide(before, renew, desired)
	applied.RemovedDenied = applied.RemovedDenied || removes
	return applied, ownerUnchanged, sent
}

// selectMetadata selects what the events of a component carry. With live metadata, an
// attribute keeps its last value while the present one can't go into an event.
func selectMetadata(component knativeservice.Component, live LiveComponent, logger *config.Logger) knativeservice.Selection {
	selection := knativeservice.SelectMetadata(component.Of.MetadataObject(), component.Spec.Logger, logger.DeniedAnnotations).WithoutDenied(logger.DeniedValues)
	return selection.KeepLast(live.LastMetadata, knativeservice.DeniedAttributes(component.Spec.Logger, logger.DeniedAnnotations), logger.DeniedValues)
}

// planService sets the Knative Service to write, which is none if its inputs are
// unchanged and nobody else changed it, and says which Revisions are rolled out.
func (c *ComponentChange) planService(live *servingv1.Service, listed []metadata.Attribute, applied knativeservice.Applied) {
	desired := knativeservice.MakeService(c.Component, knativeservice.OwnerHash(c.Component, listed), applied)
	if live == nil {
		c.Service = desired
		return
	}
	last := c.Of.Status.Components[c.Type]
	_, recordedHash := knativeservice.LastApplied(live)
	recordHolds := knativeservice.Holds(live, knativeservice.OwnerUnchanged(recordedHash, c.Component, listed), applied)
	c.rollout, desired.Spec.Traffic = knativeservice.Rollout{Latest: last.LatestRolledoutRevision, Previous: last.PreviousRolledoutRevision}.
		Observe(live).Split(c.Spec.CanaryTrafficPercent, live, !recordHolds)
	templateHolds := recordHolds && live.Generation == last.ServiceGeneration
	updated, changed := knativeservice.TakeOver(live, desired, templateHolds)
	if !templateHolds || changed {
		c.Service = updated
	}
}
