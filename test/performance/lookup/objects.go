/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"
)

const (
	namespace      = "models"
	modelName      = "my-model"
	serviceAccount = "enricher"
	// definition is Sidenote's own, below the checkout.
	definition = "config/300-inferenceservice.yaml"
	// establishedLimit bounds the wait for the API server to serve it.
	establishedLimit = time.Minute
	// tokenSeconds is the life of a token, as a pod's.
	tokenSeconds = 3607
)

// annotations are those of the InferenceService, and attributes the two of them
// that go into events.
var (
	annotations = map[string]any{"team": "ai-platform", "owner": "ml-ops", "version": "v2.1.0"}
	attributes  = []attribute{{"team", "ai-platform"}, {"owner", "ml-ops"}}
)

type attribute struct{ name, value string }

// install gives the API server the InferenceService, and an enricher's service
// account that may read it. Its token goes to the token file.
func (c *controlPlane) install(ctx context.Context) error {
	typed, untyped, err := c.clients()
	if err != nil {
		return err
	}
	definitions := untyped.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	crd, err := readDefinition()
	if err != nil {
		return err
	}
	if _, err := definitions.Create(ctx, crd, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating the definition of InferenceServices: %w", err)
	}
	space := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if _, err := typed.CoreV1().Namespaces().Create(ctx, space, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating the namespace: %w", err)
	}
	services := untyped.Resource(schema.GroupVersionResource{Group: "serving.kubeflow.org", Version: "v1beta1", Resource: "inferenceservices"}).Namespace(namespace)
	if err := c.apiServer.Await(ctx, func() error {
		_, err := services.Create(ctx, inferenceService(), metav1.CreateOptions{})
		return err
	}, interval, establishedLimit); err != nil {
		return fmt.Errorf("creating the InferenceService: %w", err)
	}
	return c.grant(ctx, typed)
}

func readDefinition() (*unstructured.Unstructured, error) {
	content, err := os.ReadFile(filepath.FromSlash(definition))
	if err != nil {
		return nil, fmt.Errorf("reading the definition of InferenceServices, which is below the checkout's root: %w", err)
	}
	var object map[string]any
	if err := yaml.Unmarshal(content, &object); err != nil {
		return nil, fmt.Errorf("reading the definition of InferenceServices: %w", err)
	}
	return &unstructured.Unstructured{Object: object}, nil
}

// inferenceService is that of samples/quickstart.
func inferenceService() *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "serving.kubeflow.org/v1beta1",
		"kind":       "InferenceService",
		"metadata":   map[string]any{"name": modelName, "namespace": namespace, "annotations": annotations},
		"spec": map[string]any{"predictor": map[string]any{
			"logger": map[string]any{"mode": "all", "metadataAnnotations": []any{"team", "owner"}},
			"containers": []any{map[string]any{
				"image": "registry.example.com/model:v2.1.0",
				"ports": []any{map[string]any{"containerPort": int64(8080)}},
			}},
		}},
	}}
}

// grant lets the service account read InferenceServices of the namespace.
func (c *controlPlane) grant(ctx context.Context, client *kubernetes.Clientset) error {
	meta := metav1.ObjectMeta{Name: serviceAccount, Namespace: namespace}
	if _, err := client.CoreV1().ServiceAccounts(namespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: meta}, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating the service account: %w", err)
	}
	role := &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{"serving.kubeflow.org"}, Resources: []string{"inferenceservices"}, Verbs: []string{"get", "list", "watch"},
	}}}
	if _, err := client.RbacV1().Roles(namespace).Create(ctx, role, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating the role: %w", err)
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: serviceAccount},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: serviceAccount, Namespace: namespace}},
	}
	if _, err := client.RbacV1().RoleBindings(namespace).Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating the role's binding: %w", err)
	}
	seconds := int64(tokenSeconds)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
	token, err := client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, serviceAccount, request, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("creating the service account's token: %w", err)
	}
	if err := os.WriteFile(c.tokenFile(), []byte(token.Status.Token), 0o600); err != nil {
		return fmt.Errorf("writing the service account's token: %w", err)
	}
	return nil
}
