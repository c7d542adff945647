/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"context"
	"fmt"
	"strconv"

	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/knativeservice"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/kserve"
)

// The features of this file share one environment, as those of steady.go do.
const (
	kserveNamespace  = "kserve"
	kserveDeployment = "kserve-controller-manager"

	// rolloutDuration is an annotation that KServe writes to the Knative Service
	// and not to its template, and so the trace of a reconcile.
	rolloutDuration = "serving.knative.dev/rollout-duration"
	// lastApplied is an annotation that KServe writes nowhere, and reconciles for.
	lastApplied = "kubectl.kubernetes.io/last-applied-configuration"
)

// SteadyKServe makes two InferenceServices of KServe with the agent. The
// features after it watch the first; the second shows that KServe's controller
// has seen what was done before.
func SteadyKServe() *feature.Feature {
	f := feature.NewFeatureNamed("a steady InferenceService of KServe")
	addBroker(f)
	f.Setup("there are a binding and two InferenceServices", inOrder(include, bindKServe(v1alpha1.RolloutNow),
		kserve.Install(steady, owned("x"), kserve.WithTransformer(), kserve.WithModelFormat()),
		kserve.Install(probe, owned("x"), kserve.WithContainer())))
	f.Requirement("it responds", kserveAnswers(steady, texts))
	f.Requirement("the other responds", kserveAnswers(probe, instances))
	f.Assert("they have agents", func(ctx context.Context, t feature.T) {
		for _, child := range append(steadyChildren(), kserve.ServiceName(probe, kserve.Predictor)) {
			awaitAgent(ctx, t, child, true)
			awaitSubject(ctx, t, payloads, child, v1alpha1.SubjectBound, "")
			awaitServiceRevisions(ctx, t, child, 1)
		}
	})
	return f
}

// TenReconcilesOfKServe tests that KServe's controller and ours agree on what a
// template is: ten reconciles of KServe's, and a restart of each controller.
func TenReconcilesOfKServe() *feature.Feature {
	f := feature.NewFeatureNamed("ten reconciles of KServe's and restarts of both controllers")
	f.Assert("they give no change of a template and no Revision", func(ctx context.Context, t feature.T) {
		unchanged := keepsKServe(ctx, t)
		reconcileTenTimes(ctx, t)
		unchanged()
		restart(ctx, t, kserveNamespace, kserveDeployment)
		awaitKServe(ctx, t)
		unchanged()
		restartController(ctx, t)
		restart(ctx, t, systemNamespace, webhookDeployment)
		reconcileTenTimes(ctx, t)
		unchanged()
	})
	return f
}

// NewAgentUnderKServe tests that a new agent's image and a new default sink wait
// for the owner's own change, however often KServe reconciles.
func NewAgentUnderKServe() *feature.Feature {
	f := feature.NewFeatureNamed("a new agent image and a new default sink under KServe")
	f.Assert("they give no change of a template and no Revision", func(ctx context.Context, t feature.T) {
		unchanged := keepsKServe(ctx, t)
		restoreImage := setConfig(ctx, t, config.AgentConfigName, "image", "registry.example/another-agent:v2")
		restoreSink := setConfig(ctx, t, config.LoggerConfigName, "default-sink", "uri: http://elsewhere.example")
		reconcileTenTimes(ctx, t)
		unchanged()
		restart(ctx, t, kserveNamespace, kserveDeployment)
		restartController(ctx, t)
		reconcileTenTimes(ctx, t)
		unchanged()
		restoreImage()
		restoreSink()
		reconcileTenTimes(ctx, t)
		unchanged()
	})
	return f
}

// OneRevisionForTheOwnerOfKServe tests that the owner's change gives exactly one
// more Revision: had any feature before it made one, there would be more.
func OneRevisionForTheOwnerOfKServe() *feature.Feature {
	f := feature.NewFeatureNamed("a changed annotation of KServe's InferenceService after all that")
	f.Assert("it gives the second Revision", func(ctx context.Context, t feature.T) {
		if err := kserve.Annotate(ctx, steady, "team", "y"); err != nil {
			t.Fatal(err)
		}
		for _, child := range steadyChildren() {
			eventually(ctx, t, "the second Revision of "+child, func(ctx context.Context) error {
				revisions, err := revisionsOf(ctx, child)
				if err != nil {
					return err
				}
				if len(revisions) < 2 {
					return fmt.Errorf("there are %v", revisions)
				}
				return nil
			})
			awaitAgent(ctx, t, child, true)
		}
		reconcileTenTimes(ctx, t)
		for _, child := range steadyChildren() {
			awaitServiceRevisions(ctx, t, child, 2)
		}
	})
	return f
}

func steadyChildren() []string {
	return []string{kserve.ServiceName(steady, kserve.Transformer), kserve.ServiceName(steady, kserve.Predictor)}
}

// keepsKServe remembers the steady InferenceService's Knative Services and gives
// a check that their specification was never changed since, and that they have
// no other Revision.
func keepsKServe(ctx context.Context, t feature.T) func() {
	before := make(map[string]int64)
	for _, child := range steadyChildren() {
		service, err := knativeservice.Get(ctx, child)
		if err != nil {
			t.Fatal(err)
		}
		before[child] = service.Generation
	}
	return func() {
		for child, generation := range before {
			after, err := knativeservice.Get(ctx, child)
			if err != nil {
				t.Fatal(err)
			}
			if err := expect("generation", after.Generation, generation); err != nil {
				t.Fatalf("%s was changed: %v, by %v", child, err, after.ManagedFields)
			}
			awaitServiceRevisions(ctx, t, child, 1)
		}
	}
}

// reconcileTenTimes has KServe reconcile the steady InferenceService, one time
// after the other.
func reconcileTenTimes(ctx context.Context, t feature.T) {
	for i := range 10 {
		if err := kserve.Annotate(ctx, steady, lastApplied, strconv.Itoa(i)+newRequestID()); err != nil {
			t.Fatal(err)
		}
		awaitKServe(ctx, t)
	}
}

// awaitKServe waits until KServe's controller, which has one worker, has taken
// over a change that is made now, and so has seen every one before it.
func awaitKServe(ctx context.Context, t feature.T) {
	child := kserve.ServiceName(probe, kserve.Predictor)
	before, err := knativeservice.Get(ctx, child)
	if err != nil {
		t.Fatal(err)
	}
	// Serving takes whole seconds.
	want := "1s"
	if before.Annotations[rolloutDuration] == want {
		want = "2s"
	}
	// An update needs the webhooks, which may have been restarted.
	eventually(ctx, t, "the other InferenceService to be changed", func(ctx context.Context) error {
		return kserve.Annotate(ctx, probe, rolloutDuration, want)
	})
	eventually(ctx, t, "KServe's controller to see a change", func(ctx context.Context) error {
		after, err := knativeservice.Get(ctx, child)
		if err != nil {
			return err
		}
		return expect(rolloutDuration, after.Annotations[rolloutDuration], want)
	})
}
