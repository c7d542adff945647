/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inferenceservice

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	eventingduckv1 "knative.dev/eventing/pkg/apis/duck/v1"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"

	. "github.com/sidenote-dev/sidenote/internal/testing/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

func refTo(apiVersion, kind, name string) *duckv1.KReference {
	return &duckv1.KReference{APIVersion: apiVersion, Kind: kind, Namespace: Namespace, Name: name}
}

func withSinks(sinks ...v1beta1.LoggerSink) Option {
	return WithLogger(func(l *v1beta1.LoggerSpec) { l.Sink, l.Sinks = nil, sinks })
}

// Every addressable kind resolves, as knative.dev/pkg/resolver has it.
func TestEachKindOfSinkResolves(t *testing.T) {
	at := func(host string) duckv1.Addressable { return duckv1.Addressable{URL: apis.HTTP(host)} }
	objects := []struct {
		name, apiVersion, kind string
		resource               schema.GroupVersionResource
		address                duckv1.Addressable
		uri, want              string
	}{
		{"broker", "eventing.knative.dev/v1", "Broker", brokers, ingress("broker"), "", ingress("broker").URL.String()},
		{"channel", "messaging.knative.dev/v1", "Channel", channels, at("channel"), "", "http://channel"},
		{"ksvc", "serving.knative.dev/v1", "Service", schema.GroupVersionResource{Group: "serving.knative.dev", Version: "v1", Resource: "services"}, at("ksvc.models.example.com"), "", "http://ksvc.models.example.com"},
		{"service", "v1", "Service", kubeService, duckv1.Addressable{}, "", "http://service.models.svc.cluster.local"},
		{"kafka", "eventing.knative.dev/v1alpha1", "KafkaSink", schema.GroupVersionResource{Group: "eventing.knative.dev", Version: "v1alpha1", Resource: "kafkasinks"}, at("kafka-sink-ingress"), "", "http://kafka-sink-ingress"},
		{"with-uri", "v1", "Service", kubeService, duckv1.Addressable{}, "/in?x=1", "http://with-uri.models.svc.cluster.local/in?x=1"},
	}
	var sinks []v1beta1.LoggerSink
	for _, object := range objects {
		destination := &duckv1.Destination{Ref: refTo(object.apiVersion, object.kind, object.name)}
		if object.uri != "" {
			destination.URI, _ = apis.ParseURL(object.uri)
		}
		sinks = append(sinks, v1beta1.LoggerSink{Name: object.name, Sink: destination})
	}
	sinks = append(sinks, v1beta1.LoggerSink{Name: "url", URL: apis.HTTPS("audit.example.com")})
	w := newWorld(t, Seed(withSinks(sinks...)))
	for _, object := range objects {
		if object.resource == kubeService {
			if _, _, err := w.Get(w.ctx, kubeService); err != nil {
				t.Fatal(err)
			}
			w.put(w.sinks[kubeService], &duckv1.AddressableType{ObjectMeta: metav1.ObjectMeta{Name: object.name, Namespace: Namespace}})
			continue
		}
		w.appear(object.resource, object.name, object.address)
	}
	w.settle()
	w.assertSaid(v1beta1.SinkResolved, corev1.ConditionTrue, "", "")
	got := make(map[string]string)
	for _, sink := range w.is().Status.Logger.Sinks {
		got[sink.Name] = sink.URI.String()
	}
	want := map[string]string{"url": "https://audit.example.com"}
	for _, object := range objects {
		want[object.name] = object.want
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want, +got): %s", diff)
	}
}

func TestTheStatusNamesEachSinkAndItsSender(t *testing.T) {
	letters := v1beta1.LoggerSink{Name: "audit", URL: apis.HTTPS("audit.example.com"), Delivery: &eventingduckv1.DeliverySpec{
		DeadLetterSink: &duckv1.Destination{Ref: refTo("eventing.knative.dev/v1", "Broker", "letters")},
	}}
	w := newWorld(t, Seed(
		With(func(is *v1beta1.InferenceService) { is.Spec.Predictor.ServiceAccountName = "sender" }),
		withSinks(v1beta1.LoggerSink{Name: "monitoring", Sink: &duckv1.Destination{Ref: refTo("eventing.knative.dev/v1", "Broker", "secured")}}, letters)))
	w.appear(brokers, "secured", ingressWithAudience("secured"))
	w.settle()
	w.assertSaid(v1beta1.SinkResolved, corev1.ConditionTrue, "", "")
	w.assertSaid(v1beta1.DeadLetterSinkResolved, isFalse, "NotResolved", `the dead letter sink of "audit", Broker models/letters, has no address`)
	want := []v1beta1.SinkStatus{
		{Name: "monitoring", URI: ingress("secured").URL, Audience: "eventing.knative.dev/broker/models/secured", Identity: "system:serviceaccount:models:sender"},
		{Name: "audit", URI: apis.HTTPS("audit.example.com")},
	}
	if diff := cmp.Diff(want, w.is().Status.Logger.Sinks); diff != "" {
		t.Errorf("(-want, +got): %s", diff)
	}

	w.disappear(brokers, "secured")
	w.settle()
	w.assertSaid(v1beta1.SinkResolved, isFalse, "NotResolved", `the sink "monitoring", Broker models/secured, has no address`)
}

// A sink that the cluster forbids later gets nothing more, and without a Revision.
func TestAForbiddenSinkGetsNothingMore(t *testing.T) {
	foreign := refTo("eventing.knative.dev/v1", "Broker", "default")
	w := running(t, withSinks(
		v1beta1.LoggerSink{Name: "inside", Sink: &duckv1.Destination{Ref: foreign}},
		v1beta1.LoggerSink{Name: "outside", URL: apis.HTTPS("audit.example.com")}))
	revisions := w.revisions()
	w.config.Logger.AllowedURIHosts = []string{"*.example.org"}
	w.settle()
	w.assertSaid(v1beta1.SinkResolved, isFalse, "SinkNotAllowed", `the sink "outside" gets no event: the cluster doesn't allow the host "audit.example.com"`)
	w.assertSaid(v1beta1.SinkResolved, isFalse, "SinkNotAllowed", "allowed-uri-hosts")
	if content, found := w.mounted("addresses/outside"); !found || content != "{}" {
		t.Errorf("running agents read the address %q", content)
	}
	if content, _ := w.mounted("addresses/inside"); !strings.Contains(content, "broker-ingress") {
		t.Errorf("the other sink has the address %q", content)
	}
	w.config.Logger.AllowedURIHosts = nil
	w.config.Logger.CrossNamespaceSinks = config.CrossNamespaceDenied
	w.settle()
	w.assertSaid(v1beta1.SinkResolved, corev1.ConditionTrue, "", "")
	if w.revisions() != revisions {
		t.Errorf("%d Revisions are made", w.revisions()-revisions)
	}
}
