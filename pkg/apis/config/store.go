/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package config

import (
	"context"

	"knative.dev/pkg/configmap"
)

type contextKey struct{}

// Config is a frozen copy of all ConfigMaps.
type Config struct {
	Logger        *Logger
	Agent         *Agent
	Observability *Observability
}

// FromContext returns the configuration that the context carries, or nil.
func FromContext(ctx context.Context) *Config {
	config, _ := ctx.Value(contextKey{}).(*Config)
	return config
}

// FromContextOrDefaults returns the configuration that the context carries, or
// that of empty ConfigMaps.
func FromContextOrDefaults(ctx context.Context) *Config {
	if config := FromContext(ctx); config != nil {
		return config
	}
	return &Config{Logger: defaultLogger(), Agent: defaultAgent(), Observability: &Observability{}}
}

// ToContext returns a context that carries the configuration.
func ToContext(ctx context.Context, config *Config) context.Context {
	return context.WithValue(ctx, contextKey{}, config)
}

// Store follows the ConfigMaps.
type Store struct {
	*configmap.UntypedStore
}

// NewStore makes a store that calls the functions after each change.
func NewStore(logger configmap.Logger, onAfterStore ...func(name string, value any)) *Store {
	return &Store{UntypedStore: configmap.NewUntypedStore("sidenote", logger, Constructors(), onAfterStore...)}
}

// Constructors returns each ConfigMap's name and what reads it, for stores and
// for the webhook that refuses what can't be read.
func Constructors() configmap.Constructors {
	return configmap.Constructors{
		LoggerConfigName: NewLoggerFromConfigMap,
		AgentConfigName:  NewAgentFromConfigMap,

		ObservabilityConfigName(): NewObservabilityFromConfigMap,
	}
}

// ToContext returns a context that carries the current configuration.
func (s *Store) ToContext(ctx context.Context) context.Context {
	return ToContext(ctx, s.Load())
}

// Load returns the current configuration.
func (s *Store) Load() *Config {
	return &Config{
		Logger: s.UntypedLoad(LoggerConfigName).(*Logger),
		Agent:  s.UntypedLoad(AgentConfigName).(*Agent),

		Observability: s.UntypedLoad(ObservabilityConfigName()).(*Observability),
	}
}
