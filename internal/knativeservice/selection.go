/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"fmt"
	"net/http"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// Selection is what of the sources that a logger lists becomes metadata.
type Selection struct {
	// Listed has the attributes of all listed annotations, labels and fixed values,
	// denied or not: a longer deny list must not change the owner's hash, and so roll
	// no model. It has none of the annotations that a pattern matches: another tool
	// may write those.
	Listed []metadata.Attribute
	// Attributes are those that events may carry, sorted by name.
	Attributes []metadata.Attribute
	// Headers are the headers of a request whose values events may carry.
	Headers []agentconfig.HeaderSource
	// Missing and MissingLabels are keys of annotations and labels.
	Missing, MissingLabels []string
	// Denied names sources, and Refused says why the agent takes no such attribute.
	Denied  []string
	Refused []error
	// LeftOut says which annotations a pattern matches that no event carries, and why.
	LeftOut []string
	// DeniedValues are attributes that the cluster denies for their values, and Kept
	// those with an earlier value, because the present one can't go into an event.
	DeniedValues, Kept []string
}

// SelectMetadata selects the sources that a logger lists. Attributes of the object
// come before those of headers, and those come before the annotations that a
// pattern matches.
func SelectMetadata(object metadata.Object, logger *v1beta1.LoggerSpec, denylist metadata.Denylist) (s Selection) {
	sources := logger.MetadataSources()
	s.Listed, _ = metadata.Select(object, sources)
	var permitted []metadata.Source
	permitted, s.Denied = denylist.Permit(sources)
	selected, missing := metadata.Select(object, permitted)
	for _, source := range missing {
		if source.Label != "" {
			s.MissingLabels = append(s.MissingLabels, source.Label)
		} else {
			s.Missing = append(s.Missing, source.Annotation)
		}
	}

	var set metadata.Set
	for _, attribute := range selected {
		s.refuse(set.Add(attribute))
	}
	for _, source := range permitted {
		switch {
		case metadata.IsPattern(source.Annotation):
			s.refuse(checkPattern(source.Annotation, logger))
		case source.Kind() == "":
			s.refuse(source.Validate())
		case source.Header != "":
			s.addHeader(&set, source)
		}
	}
	if logger.MetadataRefresh == v1beta1.RefreshLive {
		s.LeftOut = metadata.Matches(&set, object.Annotations, sources, denylist)
	}
	s.Attributes = set.Attributes()
	return s
}

func (s *Selection) addHeader(set *metadata.Set, source metadata.Source) {
	err := source.Validate()
	if err == nil {
		err = set.Reserve(source.Attribute)
	}
	if err != nil {
		s.refuse(err)
		return
	}
	s.Headers = append(s.Headers, agentconfig.HeaderSource{Attribute: source.Attribute, Header: http.CanonicalHeaderKey(source.Header)})
}

func (s *Selection) refuse(err error) {
	if err != nil {
		s.Refused = append(s.Refused, err)
	}
}

// checkPattern says why a pattern selects nothing. Under another refresh than Live
// the annotation of another tool would cost a Revision.
func checkPattern(pattern string, logger *v1beta1.LoggerSpec) error {
	if err := metadata.ValidatePattern(pattern); err != nil {
		return fmt.Errorf("pattern %q: %w", pattern, err)
	}
	if logger.MetadataRefresh != v1beta1.RefreshLive {
		return fmt.Errorf("pattern %q: it needs metadataRefresh %s", pattern, v1beta1.RefreshLive)
	}
	return nil
}
