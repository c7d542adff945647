/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package configmaps

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// ReadMetadata reads the attributes that running agents have from the ConfigMap of an
// owner. A cache of fingerprints has no values. There are none in a ConfigMap of
// somebody else, and in one that can't be read as metadata.
func ReadMetadata(ctx context.Context, kube kubernetes.Interface, name string, owner metav1.Object) ([]metadata.Attribute, error) {
	configMap, err := kube.CoreV1().ConfigMaps(owner.GetNamespace()).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, wrap("get", name, err)
	case !metav1.IsControlledBy(configMap, owner):
		return nil, nil
	}
	attributes, err := metadata.ParseFile([]byte(configMap.Data[metadata.FileName]))
	if err != nil {
		return nil, nil
	}
	return attributes, nil
}
