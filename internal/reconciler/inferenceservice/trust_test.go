/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inferenceservice

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	duckv1 "knative.dev/pkg/apis/duck/v1"

	. "github.com/sidenote-dev/sidenote/internal/testing/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// trusted returns the authorities that running agents read, and whether there
// is a ConfigMap with them.
func (w *world) trusted() (authorities string, found bool) {
	_, found, _ = w.configMaps.GetByKey(Namespace + "/sidenote-trust")
	authorities, _ = w.mounted("sink/cluster.pem")
	return authorities, found
}

func TestTrustBundlesReachRunningAgentsWithoutARevision(t *testing.T) {
	w := running(t)
	eventing, own, other := Authority("eventing", 0), Authority("own", 0), Authority("other", 0)

	w.put(w.bundles, TrustBundle("knative-eventing", "eventing-ca", map[string]string{"ca.crt": eventing}))
	w.assertWritten(w.settle(), "create ConfigMap")
	w.assertSaid(v1beta1.TrustReady, isTrue, "", "")
	w.put(w.bundles, TrustBundle("sidenote-system", "own-ca", map[string]string{"ca.crt": own}))
	w.assertWritten(w.settle(), "update ConfigMap")
	w.assertEvents("Normal TrustUpdated")
	// Eventing's copies, and what anybody labels, count nowhere.
	w.put(w.bundles, TrustBundle(Namespace, "other-ca", map[string]string{"ca.crt": other}))
	w.assertWritten(w.settle())
	if got, _ := w.trusted(); got != eventing+own {
		t.Errorf("agents trust %q", got)
	}

	w.put(w.bundles, TrustBundle("sidenote-system", "own-ca", map[string]string{"ca.crt": own + other}))
	w.assertWritten(w.settle(), "update ConfigMap")
	if got, _ := w.trusted(); got != eventing+own+other {
		t.Errorf("agents trust %q", got)
	}
	for _, bundle := range w.bundles.List() {
		if err := w.bundles.Delete(bundle); err != nil {
			t.Fatal(err)
		}
	}
	w.assertWritten(w.settle(), "delete ConfigMap")
	if w.revisions() != 1 {
		t.Errorf("%d Revisions, want 1", w.revisions())
	}
}

// A Broker's authority is renewed now and then, and a Revision can cost a GPU.
func TestASinksNewAuthorityReachesRunningAgentsWithoutARevision(t *testing.T) {
	secured := func(authority string) duckv1.Addressable {
		address := ingress("default")
		address.URL.Scheme, address.CACerts = "https", &authority
		return address
	}
	first, second := Authority("first", 0), Authority("second", 0)
	w := newWorld(t, Seed())
	w.appear(brokers, "default", secured(first))
	// Before the pods that read it.
	w.assertWritten(w.settle(), "create ConfigMap", "create Knative Service", "status")
	w.serve()
	w.settle()
	w.appear(brokers, "default", secured(second))
	w.assertWritten(w.settle(), "update ConfigMap")
	if got := w.ownTrust(); got != second {
		t.Errorf("agents trust %q", got)
	}
	w.disappear(brokers, "default")
	w.settle()
	if got := w.ownTrust(); got != second {
		t.Errorf("of a sink that is away agents trust %q", got)
	}
	if w.revisions() != 1 {
		t.Errorf("%d Revisions, want 1", w.revisions())
	}
}

func (w *world) ownTrust() string {
	authorities, _ := w.mounted("sink/own.pem")
	return authorities
}

func TestOmittedTrustBundleIsReportedOnce(t *testing.T) {
	w := running(t)
	w.put(w.bundles, TrustBundle("knative-eventing", "good", map[string]string{"ca.crt": Authority("good", 0)}))
	w.settle()
	w.put(w.bundles, TrustBundle("knative-eventing", "odd", map[string]string{"ca.crt": "hello"}))
	w.assertWritten(w.settle(), "status")
	w.assertSaid(v1beta1.TrustReady, isFalse, "TrustBundleLeftOut", "knative-eventing/odd has no certificate in PEM")
	w.assertEvents("Warning TrustBundleLeftOut")
	w.settle()
	w.assertEvents()
	if !w.is().IsReady() {
		t.Error("serving depends on a trust bundle")
	}
}

func TestTheAuthoritiesGoWithTheLogger(t *testing.T) {
	w := running(t)
	w.put(w.bundles, TrustBundle("knative-eventing", "ca", map[string]string{"ca.crt": Authority("ca", 0)}))
	w.settle()
	w.owner(WithoutLogger())
	w.assertWritten(w.settle(), "update Knative Service", "status")
	w.serve()
	w.assertWritten(w.settle(), "delete ConfigMap", "delete ConfigMap", "status")
	if _, found := w.trusted(); found {
		t.Error("the ConfigMap stays")
	}
	if got := w.is().Status.GetCondition(v1beta1.TrustReady); got != nil {
		t.Errorf("there is %+v", got)
	}
}

func TestATrustConfigMapOfSomebodyElseStaysTheirsAndTheModelServes(t *testing.T) {
	w := newWorld(t, Seed())
	w.appear(brokers, "default", ingress("default"))
	w.put(w.bundles, TrustBundle("knative-eventing", "ca", map[string]string{"ca.crt": Authority("ca", 0)}))
	theirs := &corev1.ConfigMap{}
	theirs.Namespace, theirs.Name = Namespace, "my-model-predictor-default-trust"
	w.put(w.configMaps, theirs)
	if err := w.reconcile(); err == nil {
		t.Error("nothing is wrong")
	}
	w.assertSaid(v1beta1.TrustReady, isFalse, "TrustNotWritten", "not owned")
	if len(theirs.Data) != 0 {
		t.Errorf("it has %q", theirs.Data)
	}
	if w.service() == nil {
		t.Error("serving depends on logging")
	}
}
