/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inferenceservice

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	corev1listers "k8s.io/client-go/listers/core/v1"
	"knative.dev/pkg/apis"
	"knative.dev/pkg/controller"
	pkgreconciler "knative.dev/pkg/reconciler"
	"knative.dev/pkg/resolver"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
	servingclientset "knative.dev/serving/pkg/client/clientset/versioned"
	servingv1listers "knative.dev/serving/pkg/client/listers/serving/v1"

	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	inferenceservicereconciler "github.com/sidenote-dev/sidenote/pkg/client/injection/reconciler/serving/v1beta1/inferenceservice"
	v1beta1listers "github.com/sidenote-dev/sidenote/pkg/client/listers/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
	"github.com/sidenote-dev/sidenote/pkg/reconciler/inferenceservice/resources"
)

// retryUnresolved is when a sink that doesn't resolve is looked at again. A
// tracked object wakes the controller when it appears; its kind, when
// Eventing is installed later, does not.
const retryUnresolved = time.Minute

// Reconciler makes the state of the cluster that of an InferenceService.
type Reconciler struct {
	kube          kubernetes.Interface
	serving       servingclientset.Interface
	serviceLister servingv1listers.ServiceLister
	// configMapLister gives fingerprints.
	configMapLister        corev1listers.ConfigMapLister
	inferenceServiceLister v1beta1listers.InferenceServiceLister
	resolver               *resolver.URIResolver
	trustBundles           *trustBundles
}

var (
	_ inferenceservicereconciler.Interface = (*Reconciler)(nil)
	_ pkgreconciler.OnDeletionInterface    = (*Reconciler)(nil)
)

// ReconcileKind implements the generated Interface.
func (r *Reconciler) ReconcileKind(ctx context.Context, is *v1beta1.InferenceService) pkgreconciler.Event {
	live, err := r.serviceLister.Services(is.Namespace).Get(is.ServiceName(v1beta1.PredictorComponent))
	switch {
	case apierrors.IsNotFound(err):
		live = nil
	case err != nil:
		return fmt.Errorf("get the predictor's Knative Service: %w", err)
	case !metav1.IsControlledBy(live, is):
		is.Status.MarkServiceNotOwned(live.Name)
		return fmt.Errorf("the Knative Service %q is not owned by this InferenceService", live.Name)
	}
	if is.Spec.Predictor.Logger == nil {
		is.Status.ClearLogger()
		configMapErr := r.removeConfigMaps(ctx, is, resources.MayHaveAgents(live))
		return errors.Join(r.reconcileService(ctx, is, live, nil, resources.InForce{}), configMapErr)
	}
	before := is.DeepCopy()
	err = r.reconcileWithLogger(ctx, is, live)
	recordTransitions(ctx, before, is)
	return err
}

// reconcileWithLogger decides what of the platform holds for the template,
// and says so in the status.
func (r *Reconciler) reconcileWithLogger(ctx context.Context, is *v1beta1.InferenceService, live *servingv1.Service) error {
	settings := config.FromContext(ctx)
	logger := is.Spec.Predictor.Logger

	sources := logger.MetadataSources()
	// The owner's hash is taken of what they list, so that a longer list of what
	// the cluster denies rolls no model.
	listed, _ := metadata.Select(is.Annotations, sources)
	permitted, denied := settings.Logger.DeniedAnnotations.Permit(sources)
	selected, missing := metadata.Select(is.Annotations, permitted)
	attributes, refused := metadata.Accept(selected)
	sink := r.resolveSink(ctx, is, settings.Logger)
	deadLetterSink := r.resolveDeadLetterSink(ctx, is, settings.Logger)
	wanted := resources.Wanted{
		Agent: *settings.Agent, Observability: *settings.Observability,
		MultiContainerProbing: resources.MultiContainerProbing(ctx),

		Sink: sink, DeadLetterSink: deadLetterSink, Metadata: attributes,
	}

	var before *resources.InForce
	renew, unchanged := true, false
	if live != nil {
		var recordedHash string
		before, recordedHash = resources.Recorded(live)
		unchanged = resources.OwnerUnchanged(recordedHash, is, listed)
		// A template whose Revision failed serves nobody: a mended image of the
		// agent may replace it at once.
		renew = !unchanged || resources.Failed(live)
		var revoked bool
		before, revoked = resources.WithoutForeignAudiences(before, wanted, settings.Logger.AllowedAudiences)
		renew = renew || revoked
	}
	inForce := resources.Decide(before, renew, wanted)

	// Before the pods that mount them, which start without them too: serving
	// never depends on logging.
	others := resources.OthersServe(live, unchanged, inForce)
	metadataErr := r.reconcileMetadata(ctx, is, attributes, others)
	trustErr := r.reconcileTrust(ctx, is, inForce, wanted, others)
	if err := r.reconcileService(ctx, is, live, listed, inForce); err != nil {
		return errors.Join(err, metadataErr, trustErr)
	}
	reportLogger(is, inForce, wanted, func(key string) bool { return r.isFiled(is, key) }, missing, denied)
	reportIgnored(is, inForce, refused)
	if metadataErr != nil {
		is.Status.MarkMetadataNotWritten(metadataErr)
	}
	if err := errors.Join(metadataErr, trustErr); err != nil {
		return err
	}
	if sink.Address == nil || (deadLetterSink != nil && deadLetterSink.Address == nil) {
		return controller.NewRequeueAfter(retryUnresolved)
	}
	return nil
}

// reconcileService writes the predictor's Knative Service where what it is
// made from changed, or somebody else changed it, and takes over its status.
func (r *Reconciler) reconcileService(ctx context.Context, is *v1beta1.InferenceService, live *servingv1.Service, attributes []metadata.Attribute, inForce resources.InForce) error {
	desired := resources.MakeService(is, resources.OwnerHash(is, attributes), inForce)
	client := r.serving.ServingV1().Services(is.Namespace)
	recorder := controller.GetEventRecorder(ctx)
	if live == nil {
		created, err := client.Create(ctx, desired, metav1.CreateOptions{})
		if err != nil {
			is.Status.MarkServiceRefused(explained(ctx, is, err))
			return fmt.Errorf("create Knative Service %q: %w", desired.Name, err)
		}
		recorder.Eventf(is, corev1.EventTypeNormal, "Created", "Created Knative Service %q", desired.Name)
		is.Status.PropagateService(v1beta1.PredictorComponent, created)
		return nil
	}

	agreed := is.Status.Components[v1beta1.PredictorComponent].ServiceGeneration
	_, recordedHash := resources.Recorded(live)
	unchanged := resources.OwnerUnchanged(recordedHash, is, attributes)
	templateHolds := live.Generation == agreed && resources.Holds(live, unchanged, inForce)
	updated, metadataChanged := resources.TakeOver(live, desired, templateHolds)
	if templateHolds && !metadataChanged {
		is.Status.PropagateService(v1beta1.PredictorComponent, live)
		return nil
	}
	written, err := client.Update(ctx, updated, metav1.UpdateOptions{})
	if err != nil {
		if !apierrors.IsConflict(err) {
			is.Status.MarkServiceRefused(explained(ctx, is, err))
		}
		return fmt.Errorf("update Knative Service %q: %w", desired.Name, err)
	}
	if written.ResourceVersion != live.ResourceVersion {
		recorder.Eventf(is, corev1.EventTypeNormal, "Updated", "Updated Knative Service %q", desired.Name)
	}
	is.Status.PropagateService(v1beta1.PredictorComponent, written)
	return nil
}

// explained adds to the refusal of a Knative Service what admission would say of
// its InferenceService now: it names fields that the owner has, and remedies.
// Serving's configuration may have changed since admission, or no webhook saw the
// object.
func explained(ctx context.Context, is *v1beta1.InferenceService, refusal error) error {
	if violations := resources.Validate(ctx, is).Filter(apis.ErrorLevel); violations != nil {
		return fmt.Errorf("%w; %w", refusal, violations)
	}
	return refusal
}
