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

	"github.com/sidenote-dev/sidenote/internal/wildcard"
)

const (
	crossNamespaceSinksKey = "cross-namespace-sinks"
	allowedURIHostsKey     = "allowed-uri-hosts"
)

// CrossNamespaceSinks says whether a logger may name an object of another
// namespace as a sink.
type CrossNamespaceSinks string

// The values of cross-namespace-sinks.
const (
	// CrossNamespaceAllowed permits every namespace.
	CrossNamespaceAllowed CrossNamespaceSinks = "allowed"
	// CrossNamespaceDenied permits the logger's own namespace alone.
	CrossNamespaceDenied CrossNamespaceSinks = "denied"
	// CrossNamespaceReview permits what the user who names the sink may get.
	CrossNamespaceReview CrossNamespaceSinks = "review"
)

// SinkRefusal says why events may not go to a destination, and what to do.
type SinkRefusal struct{ Message, Remedy string }

// RefuseSink says why a logger of a namespace may not name a destination, or
// returns nil. A destination by URI belongs to no namespace.
func (l *Logger) RefuseSink(destination duckv1.Destination, namespace string) *SinkRefusal {
	if ref := destination.Ref; ref != nil {
		if l.CrossNamespaceSinks != CrossNamespaceDenied || !IsForeign(ref, namespace) {
			return nil
		}
		return &SinkRefusal{
			Message: fmt.Sprintf("%s %s/%s is in another namespace", ref.Kind, ref.Namespace, ref.Name),
			Remedy:  fmt.Sprintf("name a sink of the namespace %s, or have the cluster's administrator change %s of Sidenote's ConfigMap %s", namespace, crossNamespaceSinksKey, LoggerConfigName),
		}
	}
	if destination.URI == nil || destination.URI.Host == "" || len(l.AllowedURIHosts) == 0 {
		return nil
	}
	host := strings.ToLower(strings.TrimSuffix(destination.URI.URL().Hostname(), "."))
	if slices.ContainsFunc(l.AllowedURIHosts, func(pattern string) bool { return wildcard.Parse(pattern).Match(host) }) {
		return nil
	}
	return &SinkRefusal{
		Message: fmt.Sprintf("the cluster doesn't allow the host %q", host),
		Remedy:  fmt.Sprintf("name another sink, or have the cluster's administrator add the host to %s of Sidenote's ConfigMap %s", allowedURIHostsKey, LoggerConfigName),
	}
}

// IsForeign reports whether a ref names an object of another namespace.
func IsForeign(ref *duckv1.KReference, namespace string) bool {
	return ref != nil && ref.Namespace != "" && ref.Namespace != namespace
}

// setSinkRules reads who may send where.
func (l *Logger) setSinkRules(configMap *corev1.ConfigMap) error {
	if text, found := configMap.Data[crossNamespaceSinksKey]; found {
		allowed := []CrossNamespaceSinks{CrossNamespaceAllowed, CrossNamespaceDenied, CrossNamespaceReview}
		if l.CrossNamespaceSinks = CrossNamespaceSinks(strings.TrimSpace(text)); !slices.Contains(allowed, l.CrossNamespaceSinks) {
			return fmt.Errorf("%s: invalid value %q: write one of %s, %s and %s", crossNamespaceSinksKey, text, CrossNamespaceAllowed, CrossNamespaceDenied, CrossNamespaceReview)
		}
	}
	for _, host := range strings.Fields(configMap.Data[allowedURIHostsKey]) {
		if strings.ContainsAny(host, "/:@") {
			return fmt.Errorf("%s: %q is no host: write it without scheme, port and path, such as *.example.com", allowedURIHostsKey, host)
		}
		l.AllowedURIHosts = append(l.AllowedURIHosts, strings.ToLower(strings.TrimSuffix(host, ".")))
	}
	return nil
}
