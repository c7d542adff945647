//go:build e2e

/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package e2e

import (
	"os"
	"testing"

	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/test/e2e/features"
)

// TestSteadyControlPlane runs first and alone: its features change the
// control plane.
func TestSteadyControlPlane(t *testing.T) {
	ctx, env := newEnvironment(t)
	for _, f := range []*feature.Feature{
		features.SteadyService(),
		features.TenReconciles(),
		features.NewAgentImage(),
		features.NewDefaultSink(),
		features.OneRevisionForTheOwner(),
		features.TightenedList(),
		features.SinksElsewhere(),
		features.RootPod(),
		features.MultiContainerProbing(),
		features.SteadyBinding(),
		features.WithoutTheWebhook(),
		features.LiveFileIsDamaged(),
	} {
		env.Test(ctx, t, f)
		if t.Failed() {
			t.Fatalf("%s failed, and those after it build on it", f.Name)
		}
	}
}

func TestFeatures(t *testing.T) {
	runTogether(t, map[string]*feature.Feature{
		"Example":                features.Example(),
		"TwoServices":            features.TwoServices(),
		"MetadataValues":         features.MetadataValues(),
		"Modes":                  features.Modes(),
		"SinkURL":                features.SinkURL(),
		"SinkKnativeService":     features.SinkKnativeService(),
		"DeadLetter":             features.DeadLetter(),
		"MissingBroker":          features.MissingBroker(),
		"Paths":                  features.Paths(),
		"Tunnel":                 features.Tunnel(),
		"Spool":                  features.Spool(),
		"SinkCACerts":            features.SinkCACerts(),
		"TrustBundle":            features.TrustBundle(),
		"DrainWithoutASink":      features.DrainWithoutASink(),
		"DrainWithALateSink":     features.DrainWithALateSink(),
		"LoopGuard":              features.LoopGuard(),
		"Rollout":                features.Rollout(),
		"LiveMetadata":           features.LiveMetadata(),
		"SwitchRefresh":          features.SwitchRefresh(),
		"Filters":                features.Filters(),
		"ColdStart":              features.ColdStart(),
		"Deletion":               features.Deletion(),
		"ServerSentEvents":       features.ServerSentEvents(),
		"GRPC":                   features.GRPC(),
		"StreamThroughRollout":   features.StreamThroughRollout(),
		"StreamThroughScaleDown": features.StreamThroughScaleDown(),
		"Admission":              features.Admission(),
		"NoTokenForTheAPI":       features.NoTokenForTheAPI(),
		"Privileges":             features.ControllerPrivileges(),
		"LimitRange":             features.LimitRange(),
		"RootModel":              features.RootModel(),
		"NoWebhookSaw":           features.NoWebhookSaw(),
	})
}

// TestComponentsAndBindings runs after TestFeatures: the pods of both together ask for more
// CPU than a node of two cores has.
func TestComponentsAndBindings(t *testing.T) {
	runTogether(t, map[string]*feature.Feature{
		"Canary":            features.Canary(),
		"Transformer":       features.Transformer(),
		"EventTypes":        features.EventTypes(),
		"BoundService":      features.BoundService(),
		"BindAndUnbind":     features.BindAndUnbind(),
		"BindOnNextChange":  features.BindOnNextChange(),
		"BoundTemplates":    features.BoundTemplates(),
		"NotBound":          features.NotBound(),
		"NamedRevision":     features.NamedRevision(),
		"BoundFromZero":     features.BoundFromZero(),
		"BoundLiveMetadata": features.BoundLiveMetadata(),
	})
}

// TestRules runs by itself for the same reason.
func TestRules(t *testing.T) {
	runTogether(t, map[string]*feature.Feature{
		"SeveralSinks":        features.SeveralSinks(),
		"MetadataSources":     features.MetadataSources(),
		"Guard":               features.Guard(),
		"Sampling":            features.Sampling(),
		"Ceiling":             features.Ceiling(),
		"SinkCredentials":     features.SinkCredentials(),
		"BoundKeepsLastValue": features.BoundKeepsLastValue(),
		"ProfileKServe":       features.ProfileKServe(),
		"MergedStream":        features.MergedStream(),
	})
}

// TestConformance runs the event contract's steps, which test/conformance also runs
// against a process.
func TestConformance(t *testing.T) {
	contract, err := os.ReadFile("../../docs/event-contract.md")
	if err != nil {
		t.Fatal(err)
	}
	f, err := features.Conformance(string(contract))
	if err != nil {
		t.Fatal(err)
	}
	ctx, env := newEnvironment(t)
	env.Test(ctx, t, f)
}

func runTogether(t *testing.T, together map[string]*feature.Feature) {
	for name, f := range together {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, env := newEnvironment(t)
			env.Test(ctx, t, f)
		})
	}
}
