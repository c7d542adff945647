/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inferenceservice

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"

	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/internal/knativeservice"
	. "github.com/sidenote-dev/sidenote/internal/testing/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// An address that flaps, Eventing's switch to TLS and to OIDC, and a sink that
// becomes the service itself change no template.
func TestASinkThatMovesRollsNothing(t *testing.T) {
	w := running(t, WithLogger(WithDeadLetterBroker("letters")))
	template := w.service().Spec.DeepCopy()
	secured := ingressWithAudience("default")
	authority := Authority("eventing", 0)
	secured.URL.Scheme, secured.CACerts = "https", &authority
	for _, step := range []struct {
		what    string
		address *duckv1.Addressable
		goes    string
		asks    string
	}{
		{"another address", addressed(ingress("elsewhere")), ingress("elsewhere").URL.String(), ""},
		{"the former address", addressed(ingress("default")), ingress("default").URL.String(), ""},
		{"TLS and OIDC", &secured, secured.URL.String(), *secured.Audience},
		{"no address", nil, secured.URL.String(), *secured.Audience},
		{"a foreign audience", addressed(asking("default", foreignAudience)), ingress("default").URL.String(), ""},
		{"the service itself", &duckv1.Addressable{URL: w.is().Status.URL}, "", ""},
		{"an address again", addressed(ingress("default")), ingress("default").URL.String(), ""},
	} {
		if step.address == nil {
			w.disappear(brokers, "default")
		} else {
			w.appear(brokers, "default", *step.address)
		}
		for _, written := range w.settle() {
			if written == "update Knative Service" {
				t.Errorf("%s: the Knative Service is written", step.what)
			}
		}
		if w.sink() != step.goes {
			t.Errorf("%s: events go to %q, want %q", step.what, w.sink(), step.goes)
		}
		if content, _ := w.mounted("sink-address"); strings.Contains(content, `"audience"`) != (step.asks != "") || !strings.Contains(content, step.asks) {
			t.Errorf("%s: the file says %s, want the audience %q", step.what, content, step.asks)
		}
		w.assertSaid(v1beta1.TrustReady, isTrue, "", "")
		uri := ""
		if got := w.is().Status.Logger.SinkURI; got != nil {
			uri = got.String()
		}
		if uri != step.goes {
			t.Errorf("%s: the status says %q, want %q", step.what, uri, step.goes)
		}
	}
	if diff := cmp.Diff(template, &w.service().Spec); diff != "" {
		t.Errorf("the template changed: %s", diff)
	}
	if got := w.audience(sinkToken); got != "eventing.knative.dev/broker/models/default" {
		t.Errorf("the token that waits for OIDC is for %q", got)
	}
	if w.revisions() != 1 {
		t.Errorf("%d Revisions, want 1", w.revisions())
	}
}

// The audience of the channel behind a Channel isn't known before OIDC is on.
func TestMissingTokenIsReported(t *testing.T) {
	channels := schema.GroupVersionResource{Group: "messaging.knative.dev", Version: "v1", Resource: "channels"}
	w := newWorld(t, Seed(WithLogger(WithSinkRef("messaging.knative.dev/v1", "Channel", Namespace, "a"))))
	w.appear(channels, "a", ingress("a"))
	w.settle()
	w.serve()
	w.settle()
	const behind = "messaging.knative.dev/inmemorychannel/models/a"
	w.appear(channels, "a", asking("a", behind))
	w.settle()
	w.assertSaid(v1beta1.SinkResolved, isFalse, "TokenNotMounted", behind)
	if w.revisions() != 1 || w.audience(sinkToken) != "" {
		t.Errorf("%d Revisions with a token for %q", w.revisions(), w.audience(sinkToken))
	}
	w.owner(WithImage("model:v2"))
	w.settle()
	w.assertSaid(v1beta1.SinkResolved, isTrue, "", "")
	if w.audience(sinkToken) != behind {
		t.Errorf("the token is for %q", w.audience(sinkToken))
	}
}

func addressed(address duckv1.Addressable) *duckv1.Addressable { return &address }

// Its agent reads no address: an upgrade rolls nothing, but a sink that moves
// does, and from then on no more.
func TestATemplateOfAnOlderControllerRollsOnceWithItsSink(t *testing.T) {
	w := running(t)
	w.put(w.bundles, TrustBundle("knative-eventing", "ca", map[string]string{"ca.crt": Authority("ca", 0)}))
	w.settle()
	w.older(nil)
	before := w.revisions()
	w.settle()
	if w.revisions() != before {
		t.Fatalf("an upgrade makes %d Revisions", w.revisions()-before)
	}
	if slices.ContainsFunc(w.arguments(), func(a string) bool { return strings.Contains(a, "address-file") }) {
		t.Fatalf("not an older template: %q", w.arguments())
	}
	// It reads the authorities where they were.
	if got, _ := w.mounted("sink/cluster.pem"); got == "" {
		t.Error("the older template lost the cluster's authorities")
	}
	w.disappear(brokers, "default")
	w.settle()
	if w.revisions() != before {
		t.Errorf("a sink that is away makes %d Revisions", w.revisions()-before)
	}
	w.appear(brokers, "default", ingress("elsewhere"))
	w.settle()
	if w.revisions() != before+1 || w.sink() != ingress("elsewhere").URL.String() {
		t.Errorf("after %d Revisions events go to %q", w.revisions()-before, w.sink())
	}
	if got, _ := w.mounted("sink/cluster.pem"); got == "" {
		t.Error("the new template has no authorities of the cluster")
	}
	w.appear(brokers, "default", ingress("default"))
	w.settle()
	if w.revisions() != before+1 || w.sink() != ingress("default").URL.String() {
		t.Errorf("after %d Revisions events go to %q", w.revisions()-before, w.sink())
	}
}

// A Revision of the sink before reads none of what is written for another one.
func TestAnotherSinkHasFilesOfItsOwn(t *testing.T) {
	w := running(t)
	before := w.service().Spec.Template.Spec.Volumes
	w.owner(WithLogger(WithBroker("other")))
	w.settle()
	if w.sink() != "" {
		t.Errorf("a sink without an address gets events at %q", w.sink())
	}
	if cmp.Equal(before, w.service().Spec.Template.Spec.Volumes) {
		t.Error("both Revisions read the same files")
	}
	w.appear(brokers, "other", ingress("other"))
	w.settle()
	if w.sink() != ingress("other").URL.String() || w.revisions() != 2 {
		t.Errorf("after %d Revisions events go to %q", w.revisions(), w.sink())
	}
}

// Of the authorities there is one ConfigMap in a namespace, which goes with the
// last InferenceService that needs it.
func TestANamespaceHasOneConfigMapOfAuthorities(t *testing.T) {
	w := running(t)
	w.put(w.bundles, TrustBundle("knative-eventing", "ca", map[string]string{"ca.crt": Authority("ca", 0)}))
	w.settle()
	own, _, _ := w.configMaps.GetByKey(Namespace + "/my-model-predictor-default-trust")
	if _, found := own.(*corev1.ConfigMap).Data["cluster.pem"]; found {
		t.Error("the InferenceService has a copy of its own")
	}
	shared, found, _ := w.configMaps.GetByKey(Namespace + "/sidenote-trust")
	if !found || len(shared.(*corev1.ConfigMap).OwnerReferences) != 0 {
		t.Fatalf("the shared one is %+v", shared)
	}

	// Another one is deleted, and what the namespace shares stays.
	is := w.is()
	gone := func() {
		t.Helper()
		if err := w.reconciler.Reconcile(w.ctx, Namespace+"/sidenote-trust"); err != nil {
			t.Fatal(err)
		}
	}
	gone()
	if _, found := w.trusted(); !found {
		t.Error("it went with another InferenceService")
	}
	ending := is.DeepCopy()
	ending.DeletionTimestamp, ending.Finalizers = &metav1.Time{}, []string{"foregroundDeletion"}
	w.put(w.inferenceServices, ending)
	gone()
	if _, found := w.trusted(); found {
		t.Error("it stays without any InferenceService")
	}
	gone()
}

func TestASharedConfigMapOfSomebodyElseStaysTheirs(t *testing.T) {
	w := running(t)
	theirs := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: "sidenote-trust", UID: types.UID("theirs")}, Data: map[string]string{"a": "b"}}
	w.put(w.configMaps, theirs)
	w.put(w.bundles, TrustBundle("knative-eventing", "ca", map[string]string{"ca.crt": Authority("ca", 0)}))
	if err := w.reconcile(); err == nil {
		t.Error("nothing is wrong")
	}
	w.assertSaid(v1beta1.TrustReady, isFalse, "TrustNotWritten", "delete it")
	w.owner(WithoutLogger())
	w.settle()
	stored, found, _ := w.configMaps.GetByKey(Namespace + "/sidenote-trust")
	if !found || stored.(*corev1.ConfigMap).Data["a"] != "b" {
		t.Errorf("it is %+v", stored)
	}
}

// Beside a ref it resolves to an address that is usable, but it can't be
// recorded, and so would make the template anew with each change of the
// platform.
func TestAUriBesideARefThatCannotBeRecordedRollsNothing(t *testing.T) {
	for what, uri := range map[string]*apis.URL{
		"no JSON form": {RawQuery: "q=\U000F0000"},
		"too long":     {Path: strings.Repeat("a/../", 2000)},
	} {
		t.Run(what, func(t *testing.T) {
			w := running(t, WithLogger(WithBroker("default"), func(l *v1beta1.LoggerSpec) { l.Sink.URI = uri }))
			w.assertSaid(v1beta1.SinkResolved, isFalse, "SinkUnusable", "has a URL that the agent can't use, in spec.predictor.logger.sink.uri")
			w.assertSaid(v1beta1.LoggerReady, isFalse, "NoSink", "")
			w.config.Agent.Image = "agent:v2"
			w.settle()
			if w.revisions() != 1 {
				t.Errorf("%d Revisions, want 1", w.revisions())
			}
		})
	}
}

// Until the Revision of another sink is ready, pods of the one before serve, and
// so they keep the authorities and the address of their sink.
func TestServingRevisionKeepsItsConfigMaps(t *testing.T) {
	authority := Authority("eventing", 0)
	for what, earlier := range map[string]bool{"a template of this controller": false, "a template of an older one": true} {
		t.Run(what, func(t *testing.T) {
			w := running(t)
			w.put(w.bundles, TrustBundle("knative-eventing", "ca", map[string]string{"ca.crt": Authority("ca", 0)}))
			secured := ingress("default")
			secured.URL.Scheme, secured.CACerts = "https", &authority
			w.appear(brokers, "default", secured)
			w.appear(brokers, "other", ingress("other"))
			w.settle()
			if earlier {
				w.older(func(applied *knativeservice.Applied) {
					applied.Sinks[0].Sink.Address = ingress("default")
					applied.Sinks[0].Sink.Address.URL.Scheme = "https"
				})
				w.settle()
			}
			before := w.service().DeepCopy()
			files := func() (found []string) {
				for _, path := range []string{"sink/cluster.pem", "sink/own.pem", "sink-address"} {
					if _, has := w.mountedBy(before, path); has {
						found = append(found, path)
					}
				}
				return found
			}
			read := files()
			if len(read) < 2 {
				t.Fatalf("the pods read %q", read)
			}
			w.owner(WithLogger(WithBroker("other")))
			w.settle()
			if got := files(); !slices.Equal(got, read) {
				t.Errorf("before the new Revision is ready, pods read %q, want %q", got, read)
			}
			w.change(func(service *servingv1.Service) {
				service.Status.ObservedGeneration, service.Status.LatestCreatedRevisionName = service.Generation, "new"
			})
			w.settle()
			if got := files(); !slices.Equal(got, read) {
				t.Errorf("while the new Revision starts, pods read %q, want %q", got, read)
			}
			w.serve()
			w.settle()
			if got := files(); slices.Contains(got, "sink/own.pem") || slices.Contains(got, "sink-address") {
				t.Errorf("what nobody reads any more stays: %q", got)
			}
			if w.sink() != ingress("other").URL.String() {
				t.Errorf("events go to %q", w.sink())
			}
		})
	}
}
