/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/resource"
	"knative.dev/pkg/apis"
)

// Bounds of a spool's volume.
var (
	// MinSpoolSize holds some of the largest bodies that an event carries.
	MinSpoolSize = resource.MustParse("16Mi")
	// MaxSpoolSize is what a node's disk may have, and a typing error has more
	// of: a spooled event is given up after an hour, whatever the room.
	MaxSpoolSize = resource.MustParse("1Ti")
)

func (s *SpoolSpec) validate() (errs *apis.FieldError) {
	if s == nil {
		return nil
	}
	bounds := fmt.Sprintf("write from %s to %s, as 1Gi: the pod's volume gets that size", MinSpoolSize.String(), MaxSpoolSize.String())
	switch {
	case s.SizeLimit == nil:
		missing := apis.ErrMissingField("sizeLimit")
		missing.Details = bounds
		errs = errs.Also(missing)
	case s.SizeLimit.Cmp(MinSpoolSize) < 0, s.SizeLimit.Cmp(MaxSpoolSize) > 0:
		errs = errs.Also(apis.ErrInvalidValue(s.SizeLimit.String(), "sizeLimit", bounds))
	}
	return errs.Also(validateOneOf(s.WhenFull, "whenFull", DropOldest, DropNewest))
}
