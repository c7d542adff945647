/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"slices"
	"strings"

	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// WithoutDenied leaves out the attributes whose values no event may carry.
func (s Selection) WithoutDenied(values metadata.DeniedValues) Selection {
	s.Attributes, s.DeniedValues = values.Permit(s.Attributes)
	return s
}

// KeepLast takes the last value of each listed attribute whose value can't go into
// an event, if there is one that may. The owner's mistake costs no event its
// attribute then.
func (s Selection) KeepLast(last []metadata.Attribute, denied []string, values metadata.DeniedValues) Selection {
	for _, attribute := range last {
		named := func(a metadata.Attribute) bool { return a.Name == attribute.Name }
		listed := slices.IndexFunc(s.Listed, named)
		if listed < 0 || metadata.ValidateValue(s.Listed[listed].Value) == nil ||
			slices.Contains(denied, attribute.Name) || slices.ContainsFunc(s.Attributes, named) {
			continue
		}
		if _, matches := values.Match(attribute.Value); matches {
			continue
		}
		if kept := append(slices.Clone(s.Attributes), attribute); metadata.Validate(kept) == nil {
			s.Attributes, s.Kept = kept, append(s.Kept, attribute.Name)
		}
	}
	slices.SortFunc(s.Attributes, func(a, b metadata.Attribute) int { return strings.Compare(a.Name, b.Name) })
	return s
}

// HasInvalid reports whether the value of a listed attribute can't go into an event.
func (s Selection) HasInvalid() bool {
	return slices.ContainsFunc(s.Listed, func(a metadata.Attribute) bool { return metadata.ValidateValue(a.Value) != nil })
}

// DeniedAttributes returns the attributes of the sources that a logger lists and the
// cluster denies by their keys.
func DeniedAttributes(logger *v1beta1.LoggerSpec, keys metadata.Denylist) (names []string) {
	for _, source := range logger.MetadataSources() {
		if _, denied := keys.Permit([]metadata.Source{source}); len(denied) > 0 {
			names = append(names, source.Attribute)
		}
	}
	return names
}

// DeniedIn returns the attributes that the cluster denies and agents of a template
// send nevertheless. It returns nothing that only a default list denies: an upgrade may
// have made that list longer, and makes no Revision. It returns nothing if the
// metadata is live, because the agents follow the ConfigMap.
func DeniedIn(applied *Applied, logger *v1beta1.LoggerSpec, cluster *config.Logger) (names []string) {
	if applied == nil || logger.MetadataRefresh == v1beta1.RefreshLive {
		return nil
	}
	var denied []string
	if cluster.SetsDeniedAnnotations() {
		denied = DeniedAttributes(logger, cluster.DeniedAnnotations)
	}
	for _, attribute := range applied.Metadata {
		_, matches := cluster.DeniedValues.Match(attribute.Value)
		if matches && cluster.SetsDeniedValues() || slices.Contains(denied, attribute.Name) {
			names = append(names, attribute.Name)
		}
	}
	guarded := guards(applied.DeniedValues, cluster.DeniedValues)
	for _, header := range applied.Headers {
		// An agent with a shorter list sends values that are denied now.
		if !guarded || slices.Contains(denied, header.Attribute) {
			names = append(names, header.Attribute)
		}
	}
	return names
}

// guards reports whether an agent with the recorded patterns denies what the cluster
// does. One without any has the built-in ones.
func guards(recorded []string, values metadata.DeniedValues) bool {
	if len(recorded) == 0 {
		recorded = metadata.DefaultDeniedValues().Patterns()
	}
	return !slices.ContainsFunc(values.Patterns(), func(pattern string) bool { return !slices.Contains(recorded, pattern) })
}

// deniedValuesOf returns the patterns in the arguments of an agent that takes values
// from headers. It returns none if they are those that the agent has built in.
func deniedValuesOf(desired Desired) []string {
	if len(desired.Headers) == 0 || desired.DeniedValues.Equal(metadata.DefaultDeniedValues()) {
		return nil
	}
	return desired.DeniedValues.Patterns()
}
