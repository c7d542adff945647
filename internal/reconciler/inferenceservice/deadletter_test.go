/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inferenceservice

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"knative.dev/pkg/apis"

	. "github.com/sidenote-dev/sidenote/internal/testing/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// deadLetterSink returns where the agent sends dead letters, or "".
func (w *world) deadLetterSink() string {
	return w.goesTo("dead-letter-address", "--sink.default.dead-letter=")
}

func TestTheSinkAndTheModelServeWithoutTheDeadLetterSink(t *testing.T) {
	w := running(t, WithLogger(WithDeadLetterBroker("letters")))
	w.assertSaid(apis.ConditionReady, isTrue, "", "")
	w.assertSaid(v1beta1.SinkResolved, isTrue, "", "")
	w.assertSaid(v1beta1.LoggerReady, isTrue, "", "")
	w.assertSaid(v1beta1.DeadLetterSinkResolved, isFalse, "NotResolved", "the dead letter sink, Broker models/letters, has no address")
	if w.sink() != ingress("default").URL.String() || w.deadLetterSink() != "" || w.is().Status.Logger.DeadLetterSinkURI != nil {
		t.Errorf("events go to %q, dead letters to %q", w.sink(), w.deadLetterSink())
	}
	if err := w.reconcile(); !isRequeue(err) {
		t.Errorf("it isn't looked at again: %v", err)
	}

	// Its appearance makes no Revision, and a token was there before.
	w.appear(brokers, "letters", ingressWithAudience("letters"))
	w.assertWritten(w.settle(), "update ConfigMap", "status")
	w.assertEvents("Normal TrustUpdated", "Normal DeadLetterSinkResolved")
	w.assertSaid(v1beta1.DeadLetterSinkResolved, isTrue, "", "")
	letters := ingress("letters").URL.String()
	if w.revisions() != 1 || w.deadLetterSink() != letters || w.is().Status.Logger.DeadLetterSinkURI.String() != letters {
		t.Errorf("%d Revisions, dead letters go to %q, the status says %v", w.revisions(), w.deadLetterSink(), w.is().Status.Logger.DeadLetterSinkURI)
	}
	if !w.hasToken("sidenote-dead-letter-token") {
		t.Error("no token for the Broker's audience")
	}

	// What it had last stays, whatever else the owner changes.
	w.disappear(brokers, "letters")
	w.assertWritten(w.settle(), "status")
	w.assertEvents("Warning NotResolved")
	w.owner(WithImage("model:v2"))
	w.settle()
	w.assertSaid(v1beta1.SinkResolved, isTrue, "", "")
	if w.deadLetterSink() != letters {
		t.Errorf("dead letters go to %q, want the last address", w.deadLetterSink())
	}

	// Another one gets nothing before it is there, and the old one nothing more.
	w.owner(WithLogger(WithDeadLetterBroker("others")))
	w.settle()
	if w.deadLetterSink() != "" || w.sink() == "" {
		t.Errorf("events go to %q, dead letters to %q", w.sink(), w.deadLetterSink())
	}

	// None named: nothing is said of one.
	w.owner(WithLogger(func(logger *v1beta1.LoggerSpec) { logger.Delivery = nil }))
	w.settle()
	if got := w.is().Status.GetCondition(v1beta1.DeadLetterSinkResolved); got != nil {
		t.Errorf("the condition stays: %+v", got)
	}
}

func TestDeadLetterSinkMustNotBeTheService(t *testing.T) {
	w := running(t, WithLogger(WithDeadLetterURI("http://my-model-predictor-default.models.svc.cluster.local/in")))
	w.assertSaid(v1beta1.DeadLetterSinkResolved, isFalse, "SinkIsSelf", "name another sink")
	w.assertSaid(v1beta1.SinkResolved, isTrue, "", "")
	if w.deadLetterSink() != "" || w.sink() == "" {
		t.Errorf("events go to %q, dead letters to %q", w.sink(), w.deadLetterSink())
	}
}

func TestADeadLetterSinkWithoutASinkStartsNothing(t *testing.T) {
	w := newWorld(t, Seed(WithLogger(WithDeadLetterURI("http://letters.example"))))
	w.settle()
	w.serve()
	w.settle()
	w.assertSaid(apis.ConditionReady, corev1.ConditionTrue, "", "")
	w.assertSaid(v1beta1.LoggerReady, isFalse, "NoSink", "")
	if w.sink() != "" {
		t.Errorf("events go to %q", w.sink())
	}
}
