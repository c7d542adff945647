/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	"context"
	"fmt"

	"knative.dev/pkg/apis"

	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// MetadataSources returns the annotations that the logger lists, each with the
// attribute that its value goes into.
func (s *LoggerSpec) MetadataSources() []metadata.Source {
	sources := make([]metadata.Source, 0, len(s.MetadataAnnotations)+len(s.Metadata))
	for _, annotation := range s.MetadataAnnotations {
		sources = append(sources, metadata.Source{Attribute: metadata.DefaultName(annotation), Annotation: annotation})
	}
	for _, source := range s.Metadata {
		sources = append(sources, metadata.Source{Attribute: source.Attribute, Annotation: source.Annotation})
	}
	return sources
}

// metadataField returns the field of the source of an index in MetadataSources.
func (s *LoggerSpec) metadataField(index int) string {
	if index < len(s.MetadataAnnotations) {
		return fmt.Sprintf("metadataAnnotations[%d]", index)
	}
	return fmt.Sprintf("metadata[%d]", index-len(s.MetadataAnnotations))
}

// validateMetadata refuses annotations that can't or must not become
// attributes: by their names, by the cluster's list, and by the values that
// the object gives them now.
func (s *LoggerSpec) validateMetadata(ctx context.Context, path string, annotations map[string]string) (errs *apis.FieldError) {
	fieldOf := func(index int) string { return path + "." + s.metadataField(index) }
	denied := config.FromContextOrDefaults(ctx).Logger.DeniedAnnotations
	firstWith := make(map[string]int)
	sources := s.MetadataSources()
	for i, source := range sources {
		field := fieldOf(i)
		if source.Annotation == "" {
			errs = errs.Also(&apis.FieldError{Message: "empty annotation key", Paths: []string{field}, Details: "write the key of an annotation, or remove the entry"})
			continue
		}
		if pattern, found := denied.Match(source.Annotation); found {
			errs = errs.Also(&apis.FieldError{
				Message: fmt.Sprintf("annotation %q must not be sent", source.Annotation),
				Paths:   []string{field},
				Details: fmt.Sprintf("the cluster's %s denies %q: list another annotation", config.LoggerConfigName, pattern),
			})
			continue
		}
		if err := metadata.ValidateName(source.Attribute); err != nil {
			errs = errs.Also(&apis.FieldError{
				Message: fmt.Sprintf("annotation %q can't become an attribute: %v", source.Annotation, err),
				Paths:   []string{field},
				Details: fmt.Sprintf("name the attribute in %s.metadata: {attribute: NAME, annotation: %s}", path, source.Annotation),
			})
			continue
		}
		if first, found := firstWith[source.Attribute]; found {
			errs = errs.Also(&apis.FieldError{
				Message: fmt.Sprintf("annotations %q and %q both give the attribute %q", sources[first].Annotation, source.Annotation, source.Attribute),
				Paths:   []string{fieldOf(first), field},
				Details: fmt.Sprintf("remove one, or name its attribute in %s.metadata: {attribute: NAME, annotation: %s}", path, source.Annotation),
			})
			continue
		}
		firstWith[source.Attribute] = i
		if err := metadata.ValidateValue(annotations[source.Annotation]); err != nil {
			errs = errs.Also(&apis.FieldError{
				Message: fmt.Sprintf("annotation %q can't become an attribute: %v", source.Annotation, err),
				Paths:   []string{"metadata.annotations[" + source.Annotation + "]", field},
				Details: "change the value, or don't list the annotation",
			})
			continue
		}
		errs = errs.Also(refuseDeniedValue(ctx, fmt.Sprintf("annotation %q", source.Annotation), annotations[source.Annotation],
			"metadata.annotations["+source.Annotation+"]", field))
	}
	if errs != nil {
		return errs
	}
	if len(sources) > metadata.MaxAttributes {
		return &apis.FieldError{
			Message: fmt.Sprintf("%d annotations listed: at most %d can go into an event", len(sources), metadata.MaxAttributes),
			Paths:   []string{path + ".metadataAnnotations", path + ".metadata"},
			Details: "list fewer",
		}
	}
	attributes, _ := metadata.Select(annotations, sources)
	if err := metadata.Validate(attributes); err != nil {
		return &apis.FieldError{Message: err.Error(), Paths: []string{"metadata.annotations"}, Details: "shorten the values, or list fewer annotations"}
	}
	return nil
}
