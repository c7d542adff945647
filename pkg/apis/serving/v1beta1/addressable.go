/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"
	duckv1 "knative.dev/pkg/apis/duck/v1"
)

// ValidateAddressable says why the kind of a ref is never a sink. Of
// Kubernetes' core kinds only a Service has an address. To look another one up
// would list all objects of that kind in the cluster, and tell whether one of a
// name is there. Of custom kinds the controller may read those that a
// ClusterRole declares to be addressable, which the API server enforces.
func ValidateAddressable(ref *duckv1.KReference) error {
	if ref == nil {
		return nil
	}
	version, err := schema.ParseGroupVersion(ref.APIVersion)
	switch {
	case err != nil:
		return fmt.Errorf("apiVersion %q is not valid: write for example eventing.knative.dev/v1", ref.APIVersion)
	case version.Group == "" && (ref.Kind != "Service" || version.Version != "v1"):
		return fmt.Errorf("a %s of %s has no address: name a Broker, a Knative Service, another addressable kind, or a Service of v1", ref.Kind, ref.APIVersion)
	}
	return nil
}
