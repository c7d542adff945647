/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inferenceservice

import (
	"slices"
	"testing"

	. "github.com/sidenote-dev/sidenote/internal/testing/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

func (w *world) sends(attribute string) bool {
	return slices.Contains(w.arguments(), "--metadata="+attribute)
}

// The list is longer than when the logger was admitted, by a change of the
// cluster's or by an upgrade.
func TestADeniedAnnotationRollsNothingAndIsInNoNewTemplate(t *testing.T) {
	w := running(t)
	if !w.sends("team=ai-platform") {
		t.Fatalf("arguments: %q", w.arguments())
	}
	w.config.Logger.DeniedAnnotations = append(w.config.Logger.DeniedAnnotations, "TEAM")
	w.assertWritten(w.settle(), "status")
	w.assertSaid(v1beta1.MetadataReady, isFalse, "AnnotationDenied", "running agents still send team")
	w.assertEvents("Warning AnnotationDenied")
	if w.revisions() != 1 || !w.sends("team=ai-platform") {
		t.Errorf("%d Revisions with %q, want the one that was there", w.revisions(), w.arguments())
	}

	w.owner(WithImage("model:v2"))
	w.settle()
	if w.sends("team=ai-platform") || !w.sends("owner=ml-ops") {
		t.Errorf("a new template has %q", w.arguments())
	}
	w.assertSaid(v1beta1.MetadataReady, isFalse, "AnnotationDenied", "events go without the attribute")
	if got := w.is().Status.Logger.Attributes; !slices.Equal(got, []string{"owner"}) {
		t.Errorf("the status says that %q are sent", got)
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
