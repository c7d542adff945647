/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	"fmt"
	"maps"
	"slices"

	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// loggerSource is a source of an attribute and the field of the logger that lists
// it.
type loggerSource struct {
	metadata.Source
	field string
}

// String names the source in an error. It never has a fixed value.
func (s loggerSource) String() string {
	if s.Kind() == metadata.KindValue {
		return fmt.Sprintf("the fixed value of attribute %q", s.Attribute)
	}
	return fmt.Sprintf("%s %q", s.Kind(), s.Key())
}

// MetadataSources returns the sources that the logger lists, each with the
// attribute that its value goes into.
func (s *LoggerSpec) MetadataSources() []metadata.Source {
	listed := s.listedSources()
	sources := make([]metadata.Source, 0, len(listed))
	for _, source := range listed {
		sources = append(sources, source.Source)
	}
	return sources
}

// listedSources returns the sources in the order of the fields that list them.
func (s *LoggerSpec) listedSources() (sources []loggerSource) {
	add := func(source metadata.Source, field string, args ...any) {
		sources = append(sources, loggerSource{source, fmt.Sprintf(field, args...)})
	}
	for i, key := range s.MetadataAnnotations {
		source := metadata.Source{Annotation: key}
		if !metadata.IsPattern(key) {
			source.Attribute = metadata.DefaultName(key)
		}
		add(source, "metadataAnnotations[%d]", i)
	}
	for i, source := range s.Metadata {
		add(source.source(), "metadata[%d]", i)
	}
	for i, header := range s.MetadataHeaders {
		add(metadata.Source{Attribute: metadata.DefaultName(header), Header: header}, "metadataHeaders[%d]", i)
	}
	if s.CEOverrides != nil {
		for _, name := range slices.Sorted(maps.Keys(s.CEOverrides.Extensions)) {
			value := s.CEOverrides.Extensions[name]
			add(metadata.Source{Attribute: name, Value: &value}, "ceOverrides.extensions[%s]", name)
		}
	}
	return sources
}

func (s MetadataSource) source() metadata.Source {
	source := metadata.Source{Attribute: s.Attribute, Annotation: s.Annotation, Label: s.Label, Header: s.Header}
	if s.Value != "" {
		source.Value = &s.Value
	}
	return source
}

// MetadataObject returns what a logger reads of an InferenceService.
func (is *InferenceService) MetadataObject() metadata.Object {
	return metadata.Object{Annotations: is.Annotations, Labels: is.Labels}
}
