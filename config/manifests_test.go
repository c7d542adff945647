/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package config has no code: its tests hold what the manifests beside them
// promise.
package config

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	yamlreader "k8s.io/apimachinery/pkg/util/yaml"
	"knative.dev/pkg/configmap"
)

const systemNamespace = "sidenote-system"

func readAll(t *testing.T) (objects []*unstructured.Unstructured) {
	t.Helper()
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no manifests: %v", err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		decoder := yamlreader.NewYAMLToJSONDecoder(bytes.NewReader(content))
		for {
			object := &unstructured.Unstructured{}
			if err := decoder.Decode(&object.Object); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if object.Object != nil {
				objects = append(objects, object)
			}
		}
	}
	return objects
}

// of returns the objects of a kind in their Go type, and refuses fields that it
// lacks.
func of[T any](t *testing.T, kind string) (typed []T) {
	t.Helper()
	for _, object := range readAll(t) {
		if object.GetKind() != kind {
			continue
		}
		var into T
		if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, &into, true); err != nil {
			t.Errorf("%s %s: %v", kind, object.GetName(), err)
		}
		typed = append(typed, into)
	}
	if len(typed) == 0 {
		t.Fatalf("no %s", kind)
	}
	return typed
}

func TestEveryObjectSaysWhoseItIs(t *testing.T) {
	for _, object := range readAll(t) {
		if object.GetLabels()["app.kubernetes.io/name"] != "sidenote" || object.GetLabels()["app.kubernetes.io/version"] != "devel" {
			t.Errorf("%s %s has labels %v", object.GetKind(), object.GetName(), object.GetLabels())
		}
	}
}

func TestChecksumsOfExamples(t *testing.T) {
	for _, configMap := range of[corev1.ConfigMap](t, "ConfigMap") {
		example, found := configMap.Data[configmap.ExampleKey]
		if !found {
			t.Errorf("%s documents nothing", configMap.Name)
		}
		if got, want := configMap.Annotations[configmap.ExampleChecksumAnnotation], configmap.Checksum(example); got != want {
			t.Errorf("%s has the checksum %s, want %s: run hack/update-codegen.sh", configMap.Name, got, want)
		}
	}
}

// The restricted Pod security standard
// (kubernetes.io/docs/concepts/security/pod-security-standards), and a root
// file system that nobody writes to.
func TestDeploymentsAreRestricted(t *testing.T) {
	deployments := of[appsv1.Deployment](t, "Deployment")
	if len(deployments) != 2 {
		t.Errorf("%d Deployments, want the controller and the webhook", len(deployments))
	}
	for _, deployment := range deployments {
		pod := deployment.Spec.Template.Spec
		if pod.HostNetwork || pod.HostPID || pod.HostIPC {
			t.Errorf("%s shares the host's namespaces", deployment.Name)
		}
		for _, volume := range pod.Volumes {
			if volume.ConfigMap == nil && volume.EmptyDir == nil && volume.Projected == nil && volume.Secret == nil {
				t.Errorf("%s mounts the volume %s", deployment.Name, volume.Name)
			}
		}
		for _, container := range slices.Concat(pod.InitContainers, pod.Containers) {
			context := container.SecurityContext
			if context == nil {
				t.Errorf("%s has no security context", container.Name)
				continue
			}
			is := func(value *bool, want bool) bool { return value != nil && *value == want }
			for what, holds := range map[string]bool{
				"may gain privileges":        is(context.AllowPrivilegeEscalation, false),
				"is privileged":              context.Privileged == nil || !*context.Privileged,
				"may run as root":            is(context.RunAsNonRoot, true) && (context.RunAsUser == nil || *context.RunAsUser != 0),
				"writes to its root":         is(context.ReadOnlyRootFilesystem, true),
				"keeps capabilities":         context.Capabilities != nil && slices.Equal(context.Capabilities.Drop, []corev1.Capability{"ALL"}) && len(context.Capabilities.Add) == 0,
				"has no seccomp profile":     context.SeccompProfile != nil && context.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault,
				"has no requests and limits": len(container.Resources.Requests) == 2 && len(container.Resources.Limits) == 2,
				"has no probes":              container.ReadinessProbe != nil && container.LivenessProbe != nil,
				"isn't built by ko":          strings.HasPrefix(container.Image, "ko://github.com/sidenote-dev/sidenote/cmd/"),
			} {
				if !holds {
					t.Errorf("%s of the Deployment %s %s", container.Name, deployment.Name, what)
				}
			}
			for _, port := range container.Ports {
				if port.HostPort != 0 {
					t.Errorf("%s takes the port %d of the host", container.Name, port.HostPort)
				}
			}
		}
	}
}

// role is a Role, or a ClusterRole where it has no namespace.
type role struct {
	kind, namespace, name string
	rules                 []rbacv1.PolicyRule
}

type roleKey struct{ kind, namespace, name string }

// ours returns the roles that are bound to the controller or the webhook.
func ours(t *testing.T) (roles []role) {
	t.Helper()
	all := make(map[roleKey]role)
	for _, r := range of[rbacv1.ClusterRole](t, "ClusterRole") {
		all[roleKey{"ClusterRole", "", r.Name}] = role{"ClusterRole", "", r.Name, r.Rules}
	}
	for _, r := range of[rbacv1.Role](t, "Role") {
		all[roleKey{"Role", r.Namespace, r.Name}] = role{"Role", r.Namespace, r.Name, r.Rules}
	}
	bind := func(namespace string, ref rbacv1.RoleRef, subjects []rbacv1.Subject) {
		key := roleKey{ref.Kind, namespace, ref.Name}
		if ref.Kind == "ClusterRole" {
			key.namespace = ""
		}
		bound, found := all[key]
		if !found {
			t.Errorf("%s %s is bound, and isn't there", ref.Kind, ref.Name)
		}
		if ref.Kind == "ClusterRole" {
			bound.namespace = namespace
		}
		for _, subject := range subjects {
			if subject.Kind != "ServiceAccount" || subject.Namespace != systemNamespace || (subject.Name != "controller" && subject.Name != "webhook") {
				t.Errorf("%s is bound to %+v", ref.Name, subject)
			}
		}
		roles = append(roles, bound)
	}
	for _, b := range of[rbacv1.ClusterRoleBinding](t, "ClusterRoleBinding") {
		bind("", b.RoleRef, b.Subjects)
	}
	for _, b := range of[rbacv1.RoleBinding](t, "RoleBinding") {
		bind(b.Namespace, b.RoleRef, b.Subjects)
	}
	return roles
}

func TestPrivilegesAreTheLeast(t *testing.T) {
	roles := ours(t)
	if len(roles) < 5 {
		t.Fatalf("%d bound roles only", len(roles))
	}
	writing := []string{"create", "update", "patch", "delete", "deletecollection"}
	for _, role := range roles {
		for _, rule := range role.rules {
			for what, values := range map[string][]string{"verbs": rule.Verbs, "resources": rule.Resources, "groups": rule.APIGroups} {
				if slices.Contains(values, "*") {
					t.Errorf("%s may do with all %s: %+v", role.name, what, rule)
				}
			}
			if slices.Contains(rule.Resources, "secrets") && (role.namespace != systemNamespace || !slices.Equal(rule.ResourceNames, []string{"webhook-certs"})) {
				t.Errorf("%s may touch other Secrets than the webhook's certificate: %+v", role.name, rule)
			}
			for _, resource := range rule.Resources {
				writes := slices.ContainsFunc(rule.Verbs, func(verb string) bool { return slices.Contains(writing, verb) })
				scoped := resource == "secrets" || strings.HasSuffix(resource, "webhookconfigurations") || strings.HasPrefix(resource, "namespaces") || resource == "customresourcedefinitions"
				if writes && scoped && len(rule.ResourceNames) == 0 {
					t.Errorf("%s may write any of %s: name them", role.name, resource)
				}
				if slices.Contains([]string{"pods", "pods/exec", "roles", "clusterroles", "rolebindings", "clusterrolebindings", "nodes"}, resource) {
					t.Errorf("%s may touch %s", role.name, resource)
				}
			}
		}
	}
}

func TestUsersRolesAggregate(t *testing.T) {
	aggregated := make(map[string]bool)
	for _, role := range of[rbacv1.ClusterRole](t, "ClusterRole") {
		for label := range role.Labels {
			if target, found := strings.CutPrefix(label, "rbac.authorization.k8s.io/aggregate-to-"); found {
				aggregated[target] = true
			}
		}
		if role.Labels["duck.knative.dev/addressable"] == "true" {
			aggregated["addressable"] = true
			for _, rule := range role.Rules {
				if !slices.Equal(rule.Verbs, []string{"get", "list", "watch"}) {
					t.Errorf("%s gives whoever resolves addresses %v", role.Name, rule.Verbs)
				}
			}
		}
	}
	for _, target := range []string{"admin", "edit", "view", "addressable"} {
		if !aggregated[target] {
			t.Errorf("nothing aggregates to %s", target)
		}
	}
	for _, role := range of[rbacv1.ClusterRole](t, "ClusterRole") {
		if !strings.HasPrefix(role.Name, "sidenote-namespaced-") {
			continue
		}
		for _, resource := range []string{"inferenceservices", "loggerbindings"} {
			if !slices.ContainsFunc(role.Rules, func(rule rbacv1.PolicyRule) bool { return slices.Contains(rule.Resources, resource) }) {
				t.Errorf("%s says nothing of %s", role.Name, resource)
			}
		}
	}
}
