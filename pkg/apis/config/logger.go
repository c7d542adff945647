/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package config

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	"sigs.k8s.io/yaml"

	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// LoggerConfigName is the ConfigMap that Logger is read from.
const LoggerConfigName = "config-logger"

const (
	defaultSinkKey       = "default-sink"
	deniedAnnotationsKey = "denied-annotations"
	deniedValuesKey      = "denied-values"
	allowedAudiencesKey  = "allowed-audiences"
	eventTypesKey        = "event-types"
)

// Logger is what holds for every logger of the cluster.
type Logger struct {
	// DefaultSink is where events go for a logger that names no sink. A ref
	// without a namespace is one of the InferenceService's own.
	DefaultSink duckv1.Destination
	// DeniedAnnotations are the keys of annotations and labels and the names of
	// headers that no event may carry.
	DeniedAnnotations metadata.Denylist
	// DeniedValues are the values that no event may carry, whatever brings them.
	DeniedValues metadata.DeniedValues
	// AllowedAudiences are the audiences that a sink may ask a token for beside
	// its own.
	AllowedAudiences []string
	// CrossNamespaceSinks says whether sinks may be in other namespaces.
	CrossNamespaceSinks CrossNamespaceSinks
	// AllowedURIHosts are patterns of the hosts that a sink by URI may have. None
	// means all.
	AllowedURIHosts []string
	// EventTypes says whether the controller keeps EventTypes of Knative Eventing.
	EventTypes bool
}

// NewLoggerFromConfigMap reads Logger, with a default for each absent key.
func NewLoggerFromConfigMap(configMap *corev1.ConfigMap) (*Logger, error) {
	logger := defaultLogger()
	if text, found := configMap.Data[defaultSinkKey]; found {
		sink, err := parseSink(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", defaultSinkKey, err)
		}
		logger.DefaultSink = *sink
	}
	if text, found := configMap.Data[deniedAnnotationsKey]; found {
		logger.DeniedAnnotations = strings.Fields(text)
	}
	if text, found := configMap.Data[deniedValuesKey]; found {
		denied, err := parseDeniedValues(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", deniedValuesKey, err)
		}
		logger.DeniedValues = denied
	}
	if text, found := configMap.Data[allowedAudiencesKey]; found {
		for _, audience := range strings.Fields(text) {
			if strings.Contains(audience, "*") {
				return nil, fmt.Errorf("%s: %q contains a pattern: write each audience in full", allowedAudiencesKey, audience)
			}
			logger.AllowedAudiences = append(logger.AllowedAudiences, audience)
		}
	}
	if err := logger.setSinkRules(configMap); err != nil {
		return nil, err
	}
	if text, found := configMap.Data[eventTypesKey]; found {
		switch text {
		case "enabled", "disabled":
			logger.EventTypes = text == "enabled"
		default:
			return nil, fmt.Errorf("%s: %q is not supported: write enabled or disabled", eventTypesKey, text)
		}
	}
	return logger, nil
}

func defaultLogger() *Logger {
	return &Logger{
		CrossNamespaceSinks: CrossNamespaceAllowed,
		EventTypes:          true,
		DefaultSink: duckv1.Destination{
			Ref: &duckv1.KReference{APIVersion: "eventing.knative.dev/v1", Kind: "Broker", Name: "default"},
		},
		DeniedAnnotations: metadata.Denylist{
			"kubectl.kubernetes.io/*",
			"*password*", "*passwd*", "*passphrase*", "*pwd*",
			"*secret*", "*token*", "*credential*", "*private*",
			"*apikey*", "*api-key*", "*api_key*", "*api.key*",
			"*accesskey*", "*access-key*", "*access_key*", "*access.key*",
			"*authorization*", "*bearer*", "*cookie*", "*jwt*",
		},
		DeniedValues: metadata.DefaultDeniedValues(),
	}
}

// SetsDeniedAnnotations and SetsDeniedValues report whether the cluster has a list of
// its own. The default ones may grow with a release, and an upgrade makes no Revision.
func (l *Logger) SetsDeniedAnnotations() bool {
	return !slices.Equal(l.DeniedAnnotations, defaultLogger().DeniedAnnotations)
}

// SetsDeniedValues is as SetsDeniedAnnotations.
func (l *Logger) SetsDeniedValues() bool {
	return !l.DeniedValues.Equal(metadata.DefaultDeniedValues())
}

// parseDeniedValues reads a pattern from each line that isn't blank.
func parseDeniedValues(text string) (metadata.DeniedValues, error) {
	var patterns []string
	for line := range strings.Lines(text) {
		if pattern := strings.TrimSpace(line); pattern != "" {
			patterns = append(patterns, pattern)
		}
	}
	if len(patterns) == 0 {
		return nil, fmt.Errorf("empty: write a pattern on each line, or remove the key for the default ones")
	}
	return metadata.ParseDeniedValues(patterns)
}

func parseSink(text string) (*duckv1.Destination, error) {
	var sink duckv1.Destination
	if err := yaml.UnmarshalStrict([]byte(text), &sink); err != nil {
		return nil, fmt.Errorf("not a Knative Destination, write ref or uri: %w", err)
	}
	switch {
	case sink.Ref == nil && sink.URI == nil:
		return nil, fmt.Errorf("empty: write ref or uri")
	case sink.Ref != nil && (sink.Ref.Kind == "" || sink.Ref.Name == "" || sink.Ref.APIVersion == ""):
		return nil, fmt.Errorf("ref needs apiVersion, kind and name")
	case sink.Ref == nil && (!sink.URI.URL().IsAbs() || sink.URI.Host == ""):
		return nil, fmt.Errorf("uri %q is not absolute: write scheme and host", sink.URI)
	}
	return &sink, nil
}
