/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inferenceservice

import (
	"testing"

	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	"knative.dev/pkg/ptr"

	"github.com/sidenote-dev/sidenote/internal/knativeservice"
	. "github.com/sidenote-dev/sidenote/internal/testing/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

const foreignAudience = "sts.amazonaws.com"

func asking(path, audience string) duckv1.Addressable {
	address := ingress(path)
	address.Audience = &audience
	return address
}

// audience returns that of the token in a volume of the pods, or "".
func (w *world) audience(volume string) string {
	for _, v := range w.service().Spec.Template.Spec.Volumes {
		if v.Name == volume && v.Projected != nil {
			return v.Projected.Sources[0].ServiceAccountToken.Audience
		}
	}
	return ""
}

const (
	sinkToken       = "sidenote-sink-token"
	deadLetterToken = "sidenote-dead-letter-token"
)

// Whoever may write the status of a sink must not get a credential of the
// model's for another service.
func TestAForeignAudienceGetsNoToken(t *testing.T) {
	w := newWorld(t, Seed(WithLogger(WithDeadLetterBroker("letters"))))
	w.appear(brokers, "default", asking("default", foreignAudience))
	w.appear(brokers, "letters", asking("letters", "eventing.knative.dev/broker/models/default"))
	w.settle()
	w.serve()
	w.settle()
	if got := w.audience(sinkToken); got == foreignAudience {
		t.Errorf("the sink gets a token for %q", got)
	}
	if got := w.audience(deadLetterToken); got == "eventing.knative.dev/broker/models/default" {
		t.Errorf("the dead letter sink gets a token for %q", got)
	}
	for condition, asked := range map[apis.ConditionType]string{
		v1beta1.SinkResolved:           foreignAudience,
		v1beta1.DeadLetterSinkResolved: "eventing.knative.dev/broker/models/default",
	} {
		w.assertSaid(condition, isFalse, "AudienceRefused", asked)
		w.assertSaid(condition, isFalse, "AudienceRefused", "allowed-audiences")
	}
	// The events go out nevertheless.
	w.assertSaid(v1beta1.LoggerReady, isTrue, "", "")
	if !w.is().IsReady() {
		t.Error("serving depends on an audience")
	}

	// Once the cluster allows it, a new template has it.
	w.config.Logger.AllowedAudiences = []string{foreignAudience}
	w.owner(WithImage("model:v2"))
	w.settle()
	if got := w.audience(sinkToken); got != foreignAudience {
		t.Errorf("the sink gets a token for %q", got)
	}
	w.assertSaid(v1beta1.SinkResolved, isTrue, "", "")
}

func TestOwnersAudienceMustBeAllowed(t *testing.T) {
	withAudience := WithLogger(func(logger *v1beta1.LoggerSpec) {
		WithURL("https://collector.example")(logger)
		logger.Sink = &duckv1.Destination{URI: logger.URL, Audience: ptr.String("collector")}
		logger.URL = nil
	})
	w := running(t, withAudience)
	if got := w.audience(sinkToken); got != "" {
		t.Errorf("the sink gets a token for %q", got)
	}
	w.assertSaid(v1beta1.SinkResolved, isFalse, "AudienceRefused", "collector")
	w = newWorld(t, Seed(withAudience))
	w.config.Logger.AllowedAudiences = []string{"collector"}
	w.settle()
	if got := w.audience(sinkToken); got != "collector" {
		t.Errorf("the sink gets a token for %q", got)
	}
}

// A token for somebody else is worse than a Revision.
func TestATemplateWithAForeignAudienceIsReplacedAtOnce(t *testing.T) {
	w := running(t)
	w.appear(brokers, "default", asking("default", foreignAudience))
	w.settle()
	w.older(func(applied *knativeservice.Applied) {
		applied.Sinks[0].Sink.Address.Audience = ptr.String(foreignAudience)
	})
	if got := w.audience(sinkToken); got != foreignAudience {
		t.Fatalf("the older template has a token for %q", got)
	}
	before := w.revisions()
	w.settle()
	if got := w.audience(sinkToken); got == foreignAudience || w.revisions() != before+1 {
		t.Errorf("after %d Revisions the sink gets a token for %q", w.revisions()-before, got)
	}
}

// To look one up would list all of the cluster, and tell who exists.
func TestASinkOfAKindWithoutAnAddressIsNotLookedUp(t *testing.T) {
	w := newWorld(t, Seed(WithLogger(WithSinkRef("v1", "ConfigMap", "kube-system", "coredns"))))
	w.settle()
	w.assertSaid(v1beta1.SinkResolved, isFalse, "SinkNotAddressable", "has no address: name a Broker")
	if len(w.sinks) != 0 {
		t.Errorf("informers run for %v", w.sinks)
	}
	if references := w.tracker.References(); len(references) != 0 {
		t.Errorf("tracked: %v", references)
	}
	if w.service() == nil || w.sink() != "" {
		t.Error("the model doesn't serve, or sends")
	}
}
