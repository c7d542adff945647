/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// Selection is what of the listed annotations becomes metadata.
type Selection struct {
	// Listed has the attributes of all listed annotations, denied or not: a
	// longer deny list must not change the owner's hash, and so roll no model.
	Listed []metadata.Attribute
	// Attributes are those that events may carry.
	Attributes []metadata.Attribute
	// Missing and Denied are keys of annotations, and Refused says why the agent
	// takes no such attribute.
	Missing, Denied []string
	Refused         []error
	// DeniedValues are attributes that the cluster denies for their values, and Kept
	// those with an earlier value, because the present one can't go into an event.
	DeniedValues, Kept []string
}

// SelectMetadata selects the annotations that a logger lists.
func SelectMetadata(annotations map[string]string, logger *v1beta1.LoggerSpec, denylist metadata.Denylist) (s Selection) {
	sources := logger.MetadataSources()
	s.Listed, _ = metadata.Select(annotations, sources)
	var permitted []metadata.Source
	permitted, s.Denied = denylist.Permit(sources)
	var selected []metadata.Attribute
	selected, s.Missing = metadata.Select(annotations, permitted)
	s.Attributes, s.Refused = metadata.Accept(selected)
	return s
}
