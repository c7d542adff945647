/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inferenceservice

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/internal/knativeservice"
	. "github.com/sidenote-dev/sidenote/internal/testing/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// deny replaces the cluster's list of denied values.
func (w *world) deny(patterns ...string) {
	denied, err := metadata.ParseDeniedValues(patterns)
	if err != nil {
		w.t.Fatal(err)
	}
	logger := *w.config.Logger
	logger.DeniedValues = denied
	w.config.Logger = &logger
}

func (w *world) sends(attribute string) bool {
	return slices.Contains(w.arguments(), "--metadata="+attribute)
}

// The list is longer than when the logger was admitted, by a change of the
// cluster's or by an upgrade.
func TestADeniedAnnotationMakesARevisionWithoutIt(t *testing.T) {
	w := running(t)
	if !w.sends("team=ai-platform") {
		t.Fatalf("arguments: %q", w.arguments())
	}
	w.config.Logger.DeniedAnnotations = append(w.config.Logger.DeniedAnnotations, "TEAM")
	w.assertWritten(w.settle(), "update Knative Service", "status")
	w.assertSaid(v1beta1.MetadataReady, isFalse, "MetadataDenied", "pods of the earlier one send them until it is ready")
	if w.revisions() != 2 || w.sends("team=ai-platform") || !w.sends("owner=ml-ops") {
		t.Errorf("%d Revisions with %q", w.revisions(), w.arguments())
	}
	w.serve()
	w.settle()
	w.assertSaid(v1beta1.MetadataReady, isFalse, "AnnotationDenied", "events go without the attribute")
	if got := w.is().Status.Logger.Attributes; w.revisions() != 2 || !slices.Equal(got, []string{"owner"}) {
		t.Errorf("%d Revisions, and the status says that %q are sent", w.revisions(), got)
	}
}

// What is denied comes first, and hides nothing.
func TestADeniedValueHidesNoMissingAnnotation(t *testing.T) {
	w := running(t, WithoutAnnotation("owner"))
	w.deny("^ai-")
	w.settle()
	w.serve()
	w.settle()
	w.assertSaid(v1beta1.MetadataReady, isFalse, "MetadataDenied", "not on the object: owner")
}

func TestADeniedValueMakesARevisionWithoutIt(t *testing.T) {
	w := running(t)
	w.deny("^ai-")
	w.settle()
	w.serve()
	w.settle()
	w.assertSaid(v1beta1.MetadataReady, isFalse, "MetadataDenied", "denies the values of team")
	if w.revisions() != 2 || w.sends("team=ai-platform") || !w.sends("owner=ml-ops") {
		t.Errorf("%d Revisions with %q", w.revisions(), w.arguments())
	}
	// The owner's next change of the value brings the attribute back.
	w.owner(WithAnnotation("team", "vision"))
	w.settle()
	if w.revisions() != 3 || !w.sends("team=vision") {
		t.Errorf("%d Revisions with %q", w.revisions(), w.arguments())
	}
}

func TestALongerListRollsNoServiceThatItDoesNotConcern(t *testing.T) {
	w := running(t)
	w.deny("^vision-")
	w.config.Logger.DeniedAnnotations = append(w.config.Logger.DeniedAnnotations, "version")
	w.assertWritten(w.settle())
	if w.revisions() != 1 {
		t.Errorf("%d Revisions, want 1", w.revisions())
	}
}

// Others lose an attribute at the same time, in whatever namespace.
func TestDeniedAttributesLeaveInStages(t *testing.T) {
	w := running(t)
	others := []string{"a", "b", "c"}
	for _, namespace := range others {
		other := w.service().DeepCopy()
		other.Namespace, other.OwnerReferences = namespace, nil
		applied, _ := knativeservice.LastApplied(other)
		applied.RemovedDenied = true
		record, _ := json.Marshal(applied)
		other.Annotations[serving.LastAppliedAnnotationKey] = string(record)
		other.Status.Conditions = nil
		w.put(w.services, other)
	}
	w.deny("^ai-")
	w.assertWritten(w.settle(), "status")
	w.assertSaid(v1beta1.MetadataReady, isFalse, "MetadataDenied", "a/my-model-predictor-default; b/my-model-predictor-default; c/my-model-predictor-default")
	w.assertSaid(v1beta1.MetadataReady, isFalse, "MetadataDenied", "running agents still send team")
	if err := w.reconcile(); !isRequeue(err) || w.revisions() != 1 || !w.sends("team=ai-platform") {
		t.Errorf("%v: %d Revisions with %q", err, w.revisions(), w.arguments())
	}

	stored, _, _ := w.services.GetByKey("b/my-model-predictor-default")
	ready := stored.(*servingv1.Service).DeepCopy()
	ready.Status.Conditions = w.service().Status.Conditions
	w.put(w.services, ready)
	w.settle()
	if w.revisions() != 2 || w.sends("team=ai-platform") {
		t.Errorf("%d Revisions with %q", w.revisions(), w.arguments())
	}
}

func TestADeniedValueLeavesLiveMetadataAtOnce(t *testing.T) {
	w := running(t, WithLogger(WithRefresh(v1beta1.RefreshLive)))
	w.deny("^ai-")
	w.assertWritten(w.settle(), "update ConfigMap", "status")
	if got := w.configMap().Data["attributes.json"]; got != `{"owner":"ml-ops"}` || w.revisions() != 1 {
		t.Errorf("the ConfigMap has %s, with %d Revisions", got, w.revisions())
	}
	w.assertSaid(v1beta1.MetadataReady, isFalse, "MetadataDenied", "denies the values of team")
}

// What no webhook has seen must cost no event its attribute.
func TestAnInvalidLiveValueKeepsTheLastValidOne(t *testing.T) {
	w := running(t, WithLogger(WithRefresh(v1beta1.RefreshLive)))
	hash := w.is().Status.ObservedMetadata
	for _, invalid := range []string{"two\nlines", strings.Repeat("a", 1025)} {
		w.owner(WithAnnotation("team", invalid))
		w.settle()
		if got := w.configMap().Data["attributes.json"]; got != `{"owner":"ml-ops","team":"ai-platform"}` {
			t.Errorf("the ConfigMap has %s", got)
		}
		w.assertSaid(v1beta1.MetadataReady, isFalse, "MetadataInvalid", "the present values of team can't go into an event")
		if w.is().Status.ObservedMetadata != hash {
			t.Error("the status says that events carry something else")
		}
	}
	// A value that was valid and is denied now is not kept.
	w.deny("^ai-")
	w.settle()
	if got := w.configMap().Data["attributes.json"]; got != `{"owner":"ml-ops"}` {
		t.Errorf("the ConfigMap has %s", got)
	}
	w.owner(WithAnnotation("team", "vision"))
	w.settle()
	if got := w.configMap().Data["attributes.json"]; got != `{"owner":"ml-ops","team":"vision"}` {
		t.Errorf("the ConfigMap has %s", got)
	}
	w.assertSaid(v1beta1.MetadataReady, isTrue, "", "")
}

// A running agent takes values from headers, and gets the list with its metadata.
func TestLiveMetadataCarryTheDeniedValues(t *testing.T) {
	headers := func(l *v1beta1.LoggerSpec) {
		l.Metadata = append(l.Metadata, v1beta1.MetadataSource{Attribute: "tenant", Header: "X-Tenant"})
	}
	plain := running(t, WithLogger(WithRefresh(v1beta1.RefreshLive)))
	if _, found := plain.configMap().Data["denied-values.json"]; found {
		t.Error("a logger without headers has a file of denied values")
	}
	w := running(t, WithLogger(WithRefresh(v1beta1.RefreshLive), headers))
	w.deny("^x$")
	w.settle()
	if got := w.configMap().Data["denied-values.json"]; got != `["^x$"]` {
		t.Errorf("the ConfigMap has %s", got)
	}
	if w.revisions() != 1 {
		t.Errorf("%d Revisions, want 1", w.revisions())
	}
}

func TestADeniedAnnotationLeavesLiveMetadataAtOnce(t *testing.T) {
	w := running(t, WithLogger(WithRefresh(v1beta1.RefreshLive)))
	w.config.Logger.DeniedAnnotations = append(w.config.Logger.DeniedAnnotations, "team")
	w.assertWritten(w.settle(), "update ConfigMap", "status")
	if got := w.configMap().Data["attributes.json"]; got != `{"owner":"ml-ops"}` {
		t.Errorf("the ConfigMap has %s", got)
	}
	w.assertSaid(v1beta1.MetadataReady, isFalse, "AnnotationDenied", "events go without the attribute")
	if w.revisions() != 1 {
		t.Errorf("%d Revisions, want 1", w.revisions())
	}
}

// What no webhook has seen must not get through either.
func TestDeniedAnnotationOfANewObjectIsNotSent(t *testing.T) {
	w := running(t, WithAnnotation("example.com/api-key", "hunter2"), WithLogger(WithMetadataAnnotations("team", "example.com/api-key")))
	if w.sends("apikey=hunter2") || !w.sends("team=ai-platform") {
		t.Errorf("arguments: %q", w.arguments())
	}
	w.assertSaid(v1beta1.MetadataReady, isFalse, "AnnotationDenied", "example.com/api-key")
}
