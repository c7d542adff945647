/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	"knative.dev/pkg/tracker"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// Validate implements apis.Validatable. It refuses only violations that the
// request adds: those that the object had before are warnings. It accepts any
// object that is being deleted, and any change of the status alone.
func (b *LoggerBinding) Validate(ctx context.Context) *apis.FieldError {
	if apis.IsInStatusUpdate(ctx) || b.DeletionTimestamp != nil {
		return nil
	}
	errs := b.violations(ctx)
	if errs == nil || !apis.IsInUpdate(ctx) {
		return errs
	}
	old, isLoggerBinding := apis.GetBaseline(ctx).(*LoggerBinding)
	if !isLoggerBinding || old == nil {
		return errs
	}
	old = old.DeepCopy()
	old.SetDefaults(ctx)
	return v1beta1.WarnOfOld(errs, old.violations(ctx))
}

const loggerPath = "spec.logger"

func (b *LoggerBinding) violations(ctx context.Context) *apis.FieldError {
	errs := b.Spec.Unknown.Validate(reflect.TypeFor[LoggerBindingSpec](), specAdvice).ViaField("spec")
	errs = errs.Also(b.validateSubject().ViaField("spec", "subject"))
	errs = errs.Also(validateRollout(b.Spec.Rollout).ViaField("spec"))
	logger := b.Spec.Logger
	if logger == nil {
		missing := apis.ErrMissingField(loggerPath)
		missing.Details = "write {} for the defaults"
		return errs.Also(missing)
	}
	ctx = apis.WithinParent(ctx, b.ObjectMeta)
	// The annotations and labels are those of the Knative Services, and are checked
	// with each of them.
	errs = errs.Also(logger.ValidateAt(ctx, loggerPath, metadata.Object{}))
	return errs.Also(logger.ValidateSinksAreNot(b.isSubject, loggerPath))
}

// validateSubject allows what this version binds: Knative Services of the
// binding's own namespace.
func (b *LoggerBinding) validateSubject() (errs *apis.FieldError) {
	subject := &b.Spec.Subject
	version, kind := servingv1.SchemeGroupVersion.String(), "Service"
	if subject.APIVersion != version {
		errs = errs.Also(mustBe("apiVersion", subject.APIVersion, version))
	}
	if subject.Kind != kind {
		errs = errs.Also(mustBe("kind", subject.Kind, kind))
	}
	if subject.Namespace != "" && subject.Namespace != b.Namespace {
		errs = errs.Also(apis.ErrInvalidValue(subject.Namespace, "namespace", "a binding selects Knative Services of its own namespace: remove it"))
	}
	return errs.Also(validateNameOrSelector(subject))
}

func mustBe(field, value, only string) *apis.FieldError {
	if value == "" {
		missing := apis.ErrMissingField(field)
		missing.Details = "write " + only
		return missing
	}
	return apis.ErrInvalidValue(value, field, "only Knative Services can be bound: write "+only)
}

func validateNameOrSelector(subject *tracker.Reference) *apis.FieldError {
	switch {
	case subject.Name != "" && subject.Selector != nil:
		errs := apis.ErrMultipleOneOf("name", "selector")
		errs.Details = "both select Knative Services: remove one of them"
		return errs
	case subject.Name != "":
		if problems := validation.IsDNS1123Label(subject.Name); len(problems) > 0 {
			return apis.ErrInvalidValue(subject.Name, "name", strings.Join(problems, "; "))
		}
	case subject.Selector == nil:
		errs := apis.ErrMissingOneOf("name", "selector")
		errs.Details = "write the name of a Knative Service, or a selector of its labels"
		return errs
	default:
		if _, err := metav1.LabelSelectorAsSelector(subject.Selector); err != nil {
			return &apis.FieldError{Message: "invalid selector", Paths: []string{"selector"}, Details: err.Error()}
		}
	}
	return nil
}

func validateRollout(rollout Rollout) *apis.FieldError {
	switch rollout {
	case "", RolloutOnNextChange, RolloutNow:
		return nil
	}
	return apis.ErrInvalidValue(string(rollout), "rollout", fmt.Sprintf("write %s or %s", RolloutOnNextChange, RolloutNow))
}

// isSubject reports whether a sink is the Knative Service that the binding
// names. Of those that it selects by labels only the controller knows.
func (b *LoggerBinding) isSubject(ref *duckv1.KReference) bool {
	return b.Spec.Subject.Name != "" && ref.Name == b.Spec.Subject.Name &&
		(ref.Namespace == "" || ref.Namespace == b.Namespace) &&
		schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind).GroupKind() == servingv1.Kind("Service")
}
