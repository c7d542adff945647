/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"strings"

	"knative.dev/pkg/apis"
	"knative.dev/pkg/network"
)

// LeadsTo reports whether the address of a sink leads back to the Knative Service
// whose events it would get. External is the address of the service for clients,
// or nil. A sink by URL shows it only once it is resolved.
func LeadsTo(sink *apis.URL, service, namespace string, external *apis.URL) bool {
	host := asHost(sink)
	own := network.GetServiceHostname(service, namespace)
	// A pod of the namespace resolves any leading part of the own name.
	return host == own || strings.HasPrefix(own, host+".") || (external != nil && host == asHost(external))
}

// asHost returns a URL's host as DNS compares it.
func asHost(url *apis.URL) string {
	return strings.ToLower(strings.TrimSuffix(url.URL().Hostname(), "."))
}
