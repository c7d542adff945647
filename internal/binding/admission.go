/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package binding

import (
	"context"

	"k8s.io/apimachinery/pkg/api/equality"
	"knative.dev/pkg/apis"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/internal/knativeservice"
	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
)

// Admit returns the template that a Knative Service is stored with. Old is nil for
// a create. Bindings are those of the namespace.
//
// A change of the template makes a Revision, which can cost a GPU. So the two
// templates are compared without their agents and with Serving's defaults. If they
// are equal the old agent stays byte for byte, or its absence: neither a new
// version of Sidenote nor a new binding nor a client that sends the template
// without the agent makes a Revision. Otherwise a Revision is made anyway, and the
// agent is made anew from what holds now. The result is the same however often
// it is asked for, and for a dry run.
func Admit(old, updated *servingv1.Service, bindings []*v1alpha1.LoggerBinding, platform Platform) *servingv1.RevisionTemplateSpec {
	ctx := servingContext(updated, platform)
	base, before := baseOf(ctx, old, updated)
	if old != nil {
		record := readRecord(&old.Spec.Template)
		switch oldBase := without(&old.Spec.Template, record); {
		case !sameTemplate(ctx, oldBase, base):
		case record != nil:
			return old.Spec.Template.DeepCopy()
		default:
			return base
		}
	}
	bare := updated.DeepCopy()
	bare.Spec.Template = *base
	binding := Select(bindings, bare)
	// The name that the events have comes after admission.
	isUnnamed := bare.Name == ""
	// Serving refuses the change in any case.
	isFixed := old != nil && base.Name != "" && base.Name == old.Spec.Template.Name
	if binding == nil || isUnnamed || isFixed {
		return base
	}
	injection, obstacle := inject(bare, before, binding, platform)
	if obstacle != nil {
		// The controller says so in the status of the binding.
		return base
	}
	return injection.Template
}

// baseOf returns the updated template without the agent, and what the agent had
// from the platform, or nil. A client that leaves out annotations that it doesn't
// know may still send the agent: the old record says how to remove it then.
func baseOf(ctx context.Context, old, updated *servingv1.Service) (base *servingv1.RevisionTemplateSpec, before *knativeservice.Applied) {
	record := readRecord(&updated.Spec.Template)
	var oldRecord *Record
	if old != nil {
		oldRecord = readRecord(&old.Spec.Template)
	}
	if record == nil {
		record = oldRecord
	}
	base = without(&updated.Spec.Template, record)
	if record == nil {
		return base, nil
	}
	if oldRecord != nil && oldRecord.AgentHash == record.AgentHash {
		moveEdits(ctx, &old.Spec.Template, &updated.Spec.Template, base, record.Original.Model)
	}
	return base, &record.Applied
}

// sameTemplate compares two templates with Serving's defaults, which a client may
// send one without: those of a creation. Serving sets enableServiceLinks only then,
// so an update by KServe or a kubectl replace lacks it.
func sameTemplate(ctx context.Context, a, b *servingv1.RevisionTemplateSpec) bool {
	ctx = apis.WithinCreate(ctx)
	a, b = a.DeepCopy(), b.DeepCopy()
	a.SetDefaults(ctx)
	b.SetDefaults(ctx)
	return equality.Semantic.DeepEqual(a, b)
}
