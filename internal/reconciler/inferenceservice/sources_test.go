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

func TestWhatAPatternMatchesIsSentLive(t *testing.T) {
	w := running(t, WithLogger(WithRefresh(v1beta1.RefreshLive), WithMetadataAnnotations("team", "example.com/*")))
	w.owner(WithAnnotation("example.com/stage", "prod"), WithAnnotation("example.com/team", "other"))
	w.assertWritten(w.settle(), "update ConfigMap", "status")
	if got := w.configMap().Data["attributes.json"]; got != `{"stage":"prod","team":"ai-platform"}` {
		t.Errorf("the ConfigMap has %s", got)
	}
	w.assertSaid(v1beta1.MetadataReady, isFalse, "MatchLeftOut", `example.com/team: the attribute "team" is of team`)
	if got := w.is().Status.Logger.Attributes; !slices.Equal(got, []string{"stage", "team"}) {
		t.Errorf("the status says that %q are sent", got)
	}
	w.assertWritten(w.settle())
	w.owner(WithoutAnnotation("example.com/team"))
	w.settle()
	w.assertSaid(v1beta1.MetadataReady, isTrue, "", "")
	if w.revisions() != 1 {
		t.Errorf("%d Revisions, want 1", w.revisions())
	}
}

// The value of a match may be denied as that of a listed annotation, and the status
// names its attribute.
func TestTheStatusNamesAMatchWhoseValueIsDenied(t *testing.T) {
	w := running(t, WithLogger(WithRefresh(v1beta1.RefreshLive), WithMetadataAnnotations("team", "example.com/*")))
	w.deny("^top-secret$")
	w.owner(WithAnnotation("example.com/stage", "top-secret"), WithAnnotation("example.com/zone", "a"))
	w.settle()
	if got := w.configMap().Data["attributes.json"]; got != `{"team":"ai-platform","zone":"a"}` {
		t.Errorf("the ConfigMap has %s", got)
	}
	w.assertSaid(v1beta1.MetadataReady, isFalse, "MetadataDenied", "denied-values of config-logger denies the values of stage")
	if got := w.is().Status.Logger.Attributes; !slices.Equal(got, []string{"team", "zone"}) {
		t.Errorf("the status says that %q are sent", got)
	}
	w.owner(WithAnnotation("example.com/stage", "prod"))
	w.settle()
	w.assertSaid(v1beta1.MetadataReady, isTrue, "", "")
	if w.revisions() != 1 {
		t.Errorf("%d Revisions, want 1", w.revisions())
	}
}

func TestLabelsAndHeadersAreInTheStatus(t *testing.T) {
	w := running(t, WithLabel("tier", "gold"), WithLogger(func(logger *v1beta1.LoggerSpec) {
		logger.Metadata = append(logger.Metadata,
			v1beta1.MetadataSource{Attribute: "tier", Label: "tier"}, v1beta1.MetadataSource{Attribute: "zone", Label: "zone"})
		logger.MetadataHeaders = []string{"x-tenant"}
	}))
	got := w.is().Status.Logger
	if !slices.Contains(got.Attributes, "tier") || !slices.Equal(got.HeaderAttributes, []string{"xtenant"}) ||
		!slices.Equal(got.MissingLabels, []string{"zone"}) || len(got.MissingAnnotations) > 0 {
		t.Errorf("status.logger is %+v", got)
	}
	if !w.sends("tier=gold") || !slices.Contains(w.arguments(), "--metadata-header=xtenant=X-Tenant") {
		t.Errorf("arguments: %q", w.arguments())
	}
	w.assertSaid(v1beta1.MetadataReady, isFalse, "LabelMissing", "not on the object: labels zone")
	w.owner(WithoutAnnotation("team"))
	w.settle()
	w.assertSaid(v1beta1.MetadataReady, isFalse, "AnnotationMissing", "labels zone")
}

// A header that the cluster denies later leaves with a Revision, as an annotation
// does.
func TestADeniedHeaderMakesARevisionWithoutIt(t *testing.T) {
	const argument = "--metadata-header=xtenant=X-Tenant"
	w := running(t, WithLogger(func(logger *v1beta1.LoggerSpec) { logger.MetadataHeaders = []string{"x-tenant"} }))
	if !slices.Contains(w.arguments(), argument) {
		t.Fatalf("arguments: %q", w.arguments())
	}
	w.config.Logger.DeniedAnnotations = append(w.config.Logger.DeniedAnnotations, "X-TENANT")
	w.assertWritten(w.settle(), "update Knative Service", "status")
	w.assertSaid(v1beta1.MetadataReady, isFalse, "MetadataDenied", "pods of the earlier one send them until it is ready")
	w.serve()
	w.settle()
	if w.revisions() != 2 || slices.Contains(w.arguments(), argument) || len(w.is().Status.Logger.HeaderAttributes) > 0 {
		t.Errorf("%d Revisions with %q, and the status %+v", w.revisions(), w.arguments(), w.is().Status.Logger)
	}
	w.assertSaid(v1beta1.MetadataReady, isFalse, "AnnotationDenied", "header x-tenant; events go without the attribute")
}
