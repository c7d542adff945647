/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"knative.dev/pkg/apis"
)

// validate names fields by their path in auth.
func (a *SinkAuth) validate() (errs *apis.FieldError) {
	const bearer, basic = "bearer", "basic"
	switch {
	case a == nil:
		return nil
	case a.Bearer != nil && a.Basic != nil:
		errs = apis.ErrMultipleOneOf(bearer, basic)
		errs.Details = "a request carries one Authorization header: remove one of them"
		return errs
	case a.Bearer == nil && a.Basic == nil:
		errs = apis.ErrMissingOneOf(bearer, basic)
		errs.Details = "write bearer: {name: SECRET, key: KEY}, or basic: {name: SECRET}"
		return errs
	case a.Basic != nil:
		return validateSecretName(a.Basic.Name).ViaField(basic)
	}
	errs = validateSecretName(a.Bearer.Name)
	if a.Bearer.Key == "" {
		missing := apis.ErrMissingField("key")
		missing.Details = "write the key of the Secret that has the token"
		errs = errs.Also(missing)
	} else if problems := validation.IsConfigMapKey(a.Bearer.Key); len(problems) > 0 {
		errs = errs.Also(apis.ErrInvalidValue(a.Bearer.Key, "key", strings.Join(problems, "; ")))
	}
	if optional := a.Bearer.Optional; optional != nil && !*optional {
		errs = errs.Also(apis.ErrInvalidValue(*optional, "optional", "the pod starts without the Secret, because serving doesn't depend on logging: remove it"))
	}
	return errs.ViaField(bearer)
}

func validateSecretName(name string) *apis.FieldError {
	if name == "" {
		missing := apis.ErrMissingField("name")
		missing.Details = "write the name of a Secret of the same namespace"
		return missing
	}
	if problems := validation.IsDNS1123Subdomain(name); len(problems) > 0 {
		return apis.ErrInvalidValue(name, "name", strings.Join(problems, "; "))
	}
	return nil
}

// RefuseAuth says why the credentials of a sink are not sent to it, in words that
// follow the field's name, or returns "".
func (s EffectiveSink) RefuseAuth() string {
	if s.Auth == nil {
		return ""
	}
	switch destination := s.Destination(); {
	case destination == nil || destination.Ref != nil:
		return "the sink is an object of the cluster, which gets a token of the pod's service account if it asks for one: remove auth, or name the sink by uri or url"
	case destination.URI == nil || destination.URI.Scheme != "https":
		return "credentials are sent over https only: write an https URL, or remove auth"
	case destination.Audience != nil && *destination.Audience != "":
		return "the sink has an audience, so it gets a token of the pod's service account: remove auth or audience"
	}
	return ""
}
