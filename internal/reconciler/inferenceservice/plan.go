/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inferenceservice

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/internal/knativeservice"
	"github.com/sidenote-dev/sidenote/internal/reconciler/configmaps"
	"github.com/sidenote-dev/sidenote/internal/reconciler/sinks"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// retryUnresolved is the time until a sink without an address is resolved
// again. A tracked object wakes the controller when it appears. The kind of the
// object does not, when Eventing is installed later.
const retryUnresolved = time.Minute

// Live is the state of the cluster that concerns one InferenceService. An object
// that doesn't exist is nil.
type Live struct {
	// Service is the predictor's Knative Service.
	Service *servingv1.Service
	// Trust, Metadata and NamespaceTrust are fingerprints of ConfigMaps.
	Trust, Metadata, NamespaceTrust *corev1.ConfigMap
	// NamespaceReadsTrust says that pods of the namespace read NamespaceTrust.
	NamespaceReadsTrust bool
	// Sink and DeadLetterSink are the results of resolving the destinations.
	Sink, DeadLetterSink sinks.Resolution
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
	// ConfigMaps are written in this order, before Service: pods must find the
	// files that they mount. A write that fails doesn't hold back Service, because
	// serving never depends on logging.
	ConfigMaps []configmaps.Change
	// Service is created or updated. It is nil if the live one stays as it is.
	Service *servingv1.Service
	// Status is the status after all writes. It lacks what Knative Serving reports
	// of the written Service.
	Status v1beta1.InferenceServiceStatus
	// StatusWithoutService is the status if Service can't be written: it says of
	// the template what the last status said.
	StatusWithoutService v1beta1.InferenceServiceStatus
	// RetryAfter is the time until the next attempt, or 0 if a change of an object
	// starts it.
	RetryAfter time.Duration
	// Err says why nothing can be written. Only Status holds then.
	Err error
}

// Plan decides what to write for an InferenceService. It does no I/O and leaves
// its arguments unchanged.
func Plan(is *v1beta1.InferenceService, live Live, platform Platform) Changes {
	status := *is.Status.DeepCopy()
	if live.Service != nil && !metav1.IsControlledBy(live.Service, is) {
		status.MarkServiceNotOwned(live.Service.Name)
		return Changes{Status: status, Err: fmt.Errorf("the Knative Service %q is not owned by this InferenceService", live.Service.Name)}
	}
	if is.Spec.Predictor.Logger == nil {
		status.ClearLogger()
		return Changes{
			ConfigMaps: planWithoutLogger(is, live, platform),
			Service:    planService(is, live.Service, nil, knativeservice.Applied{}),
			Status:     status, StatusWithoutService: status,
		}
	}

	sink, deadLetterSink := planSinks(is, live, platform.Logger, &status)
	selection := knativeservice.SelectMetadata(is.Annotations, is.Spec.Predictor.Logger, platform.Logger.DeniedAnnotations)
	desired := knativeservice.Desired{
		Agent: *platform.Agent, Observability: *platform.Observability,
		MultiContainerProbing: platform.MultiContainerProbing,

		Sink: sink, DeadLetterSink: deadLetterSink, Metadata: selection.Attributes,
	}
	applied, ownerUnchanged := planTemplate(is, live.Service, selection.Listed, desired, platform.Logger.AllowedAudiences)
	// Pods of another template keep what they read.
	others := knativeservice.OthersServe(live.Service, ownerUnchanged, applied)
	changes := Changes{
		ConfigMaps: append(planMetadata(is, live, selection.Attributes, others), planTrust(is, live, platform.Trust, applied, desired, others, &status)...),
		Service:    planService(is, live.Service, selection.Listed, applied),
	}
	changes.StatusWithoutService = *status.DeepCopy()
	reportLogger(is, &status, applied, desired, live, selection)
	changes.Status = status
	if sink.Address == nil || (deadLetterSink != nil && deadLetterSink.Address == nil) {
		changes.RetryAfter = retryUnresolved
	}
	return changes
}

// planTemplate decides what the template gets from the platform, and says
// whether its owner left it unchanged.
func planTemplate(is *v1beta1.InferenceService, live *servingv1.Service, listed []metadata.Attribute, desired knativeservice.Desired, allowedAudiences []string) (applied knativeservice.Applied, ownerUnchanged bool) {
	if live == nil {
		return knativeservice.Decide(nil, true, desired), false
	}
	before, recordedHash := knativeservice.LastApplied(live)
	ownerUnchanged = knativeservice.OwnerUnchanged(recordedHash, is, listed)
	before, revoked := knativeservice.WithoutForeignAudiences(before, desired, allowedAudiences)
	// A template whose Revision failed serves nobody: a fixed image of the agent
	// may replace it at once.
	renew := !ownerUnchanged || knativeservice.Failed(live) || revoked
	return knativeservice.Decide(before, renew, desired), ownerUnchanged
}

// planService returns the Knative Service to write, or nil if its inputs are
// unchanged and nobody else changed it.
func planService(is *v1beta1.InferenceService, live *servingv1.Service, listed []metadata.Attribute, applied knativeservice.Applied) *servingv1.Service {
	desired := knativeservice.MakeService(is, knativeservice.OwnerHash(is, listed), applied)
	if live == nil {
		return desired
	}
	_, recordedHash := knativeservice.LastApplied(live)
	templateHolds := live.Generation == is.Status.Components[v1beta1.PredictorComponent].ServiceGeneration &&
		knativeservice.Holds(live, knativeservice.OwnerUnchanged(recordedHash, is, listed), applied)
	updated, metadataChanged := knativeservice.TakeOver(live, desired, templateHolds)
	if templateHolds && !metadataChanged {
		return nil
	}
	return updated
}
