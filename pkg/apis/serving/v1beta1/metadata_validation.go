/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"knative.dev/pkg/apis"

	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// validateMetadata refuses sources that can't or must not become attributes: by
// their names, by the cluster's list, and by the values that the object gives them
// now. The annotations that a pattern matches are not checked: another tool may
// have written them.
func (s *LoggerSpec) validateMetadata(ctx context.Context, path string, object metadata.Object) *apis.FieldError {
	errs := s.validateSourceForms().ViaField(strings.Split(path, ".")...)
	denied := config.FromContextOrDefaults(ctx).Logger.DeniedAnnotations
	firstWith := make(map[string]loggerSource)
	for _, source := range s.listedSources() {
		source.field = path + "." + source.field
		if source.Kind() == "" {
			continue
		}
		if refusal := source.validate(path, denied); refusal != nil || metadata.IsPattern(source.Annotation) {
			errs = errs.Also(refusal)
			continue
		}
		if first, found := firstWith[source.Attribute]; found {
			errs = errs.Also(&apis.FieldError{
				Message: fmt.Sprintf("%s and %s both give the attribute %q", first, source, source.Attribute),
				Paths:   []string{first.field, source.field},
				Details: "remove one, or " + source.renaming(path, "its attribute"),
			})
			continue
		}
		firstWith[source.Attribute] = source
		errs = errs.Also(source.validateValue(ctx, object))
	}
	if errs != nil {
		return errs
	}
	return s.validateBounds(path, object)
}

// validateSourceForms refuses entries that aren't exactly one source, and patterns
// that no annotation can be selected by.
func (s *LoggerSpec) validateSourceForms() (errs *apis.FieldError) {
	for i, key := range s.MetadataAnnotations {
		field := fmt.Sprintf("metadataAnnotations[%d]", i)
		if key == "" {
			errs = errs.Also(&apis.FieldError{Message: "empty annotation key", Paths: []string{field}, Details: "write the key of an annotation, or remove the entry"})
		}
		if !metadata.IsPattern(key) {
			continue
		}
		if err := metadata.ValidatePattern(key); err != nil {
			errs = errs.Also(&apis.FieldError{Message: fmt.Sprintf("invalid pattern %q: %v", key, err), Paths: []string{field}, Details: "write prefix/*, or list each key"})
		} else if s.MetadataRefresh != RefreshLive {
			errs = errs.Also(&apis.FieldError{
				Message: fmt.Sprintf("pattern %q: each annotation that another tool adds would make a Revision", key), Paths: []string{field},
				Details: fmt.Sprintf("write metadataRefresh: %s, or list each key", RefreshLive),
			})
		}
	}
	for i, name := range s.MetadataHeaders {
		if name == "" {
			errs = errs.Also(&apis.FieldError{Message: "empty header name", Paths: []string{fmt.Sprintf("metadataHeaders[%d]", i)}, Details: "write the name of a header, or remove the entry"})
		}
	}
	for i, source := range s.Metadata {
		errs = errs.Also(source.validateForm().ViaFieldIndex("metadata", i))
	}
	return errs
}

func (s MetadataSource) validateForm() *apis.FieldError {
	all, given := []string{"annotation", "label", "header", "value"}, make([]string, 0, 1)
	for i, text := range []string{s.Annotation, s.Label, s.Header, s.Value} {
		if text != "" {
			given = append(given, all[i])
		}
	}
	switch {
	case len(given) == 0:
		missing := apis.ErrMissingOneOf(all...)
		missing.Details = "write the source of the attribute's value"
		return missing
	case len(given) > 1:
		several := apis.ErrMultipleOneOf(given...)
		several.Details = "an attribute has one source: remove the others"
		return several
	case metadata.IsPattern(s.Annotation), metadata.IsPattern(s.Label):
		return &apis.FieldError{
			Message: fmt.Sprintf("%q is a pattern, and an attribute has one value", s.Annotation+s.Label), Paths: []string{given[0]},
			Details: "write a key; metadataAnnotations takes patterns of annotations",
		}
	}
	return nil
}

// validate refuses a source for what it is, whatever the others and the value are.
func (s loggerSource) validate(path string, denied metadata.Denylist) *apis.FieldError {
	if s.Kind() != metadata.KindValue {
		if pattern, found := denied.Match(s.Key()); found {
			return &apis.FieldError{
				Message: fmt.Sprintf("%s must not be sent", s),
				Paths:   []string{s.field},
				Details: fmt.Sprintf("the cluster's %s denies %q: list another %s", config.LoggerConfigName, pattern, s.Kind()),
			}
		}
	}
	if metadata.IsPattern(s.Annotation) {
		return nil
	}
	if s.Kind() == metadata.KindHeader {
		if err := metadata.ValidateHeader(s.Header); err != nil {
			return &apis.FieldError{Message: err.Error(), Paths: []string{s.field}}
		}
	}
	if err := metadata.ValidateName(s.Attribute); err != nil {
		return &apis.FieldError{
			Message: fmt.Sprintf("%s can't become an attribute: %v", s, err),
			Paths:   []string{s.field},
			Details: s.renaming(path, "the attribute"),
		}
	}
	return nil
}

// renaming says how the source gets another attribute.
func (s loggerSource) renaming(path, attribute string) string {
	if s.Kind() == metadata.KindValue {
		return "give " + attribute + " another name"
	}
	return fmt.Sprintf("name %s in %s.metadata: {attribute: NAME, %s: %s}", attribute, path, s.Kind(), s.Key())
}

// validateValue refuses the value that the object or the logger gives the attribute.
func (s loggerSource) validateValue(ctx context.Context, object metadata.Object) *apis.FieldError {
	var value string
	paths, details := []string{s.field}, fmt.Sprintf("change the value, or don't list the %s", s.Kind())
	switch s.Kind() {
	case metadata.KindAnnotation:
		value, paths = object.Annotations[s.Annotation], []string{"metadata.annotations[" + s.Annotation + "]", s.field}
	case metadata.KindLabel:
		value, paths = object.Labels[s.Label], []string{"metadata.labels[" + s.Label + "]", s.field}
	case metadata.KindValue:
		value, details = *s.Value, "change the value"
	case metadata.KindHeader:
		return nil
	}
	if err := metadata.ValidateValue(value); err != nil {
		return &apis.FieldError{Message: fmt.Sprintf("%s can't become an attribute: %v", s, err), Paths: paths, Details: details}
	}
	what := s.String()
	if s.Kind() == metadata.KindValue {
		what = fmt.Sprintf("attribute %q", s.Attribute)
	}
	return refuseDeniedValue(ctx, what, value, paths...)
}

// validateBounds refuses too many attributes, and too many bytes in those whose
// values are known. The values of headers may have the bytes that these leave.
func (s *LoggerSpec) validateBounds(path string, object metadata.Object) *apis.FieldError {
	sources := slices.DeleteFunc(s.MetadataSources(), func(source metadata.Source) bool { return metadata.IsPattern(source.Annotation) })
	if len(sources) > metadata.MaxAttributes {
		fields := []string{path + ".metadataAnnotations", path + ".metadata"}
		if len(s.MetadataHeaders) > 0 {
			fields = append(fields, path+".metadataHeaders")
		}
		if s.CEOverrides != nil {
			fields = append(fields, path+".ceOverrides.extensions")
		}
		return &apis.FieldError{
			Message: fmt.Sprintf("%d attributes listed: at most %d can go into an event", len(sources), metadata.MaxAttributes),
			Paths:   fields,
			Details: "list fewer",
		}
	}
	attributes, _ := metadata.Select(object, sources)
	if err := metadata.Validate(attributes); err != nil {
		places := []string{"metadata.annotations"}
		if slices.ContainsFunc(s.Metadata, func(source MetadataSource) bool { return source.Value != "" }) {
			places = append(places, path+".metadata")
		}
		if s.CEOverrides != nil {
			places = append(places, path+".ceOverrides.extensions")
		}
		return &apis.FieldError{Message: err.Error(), Paths: places, Details: "shorten the values, or list fewer annotations and values"}
	}
	return nil
}
