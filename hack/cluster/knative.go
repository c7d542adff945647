/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// buildKnative renders the manifests of Knative and builds and pushes the
// images that they name, by ko.
func buildKnative(ctx context.Context, p *progress, s settings) error {
	stamp, err := knativeStamp(s)
	if err != nil {
		return err
	}
	if stampHolds(s.layout, "knative", stamp) {
		return nil
	}
	return p.stage("building Knative", "about 3 min the first time", func() error {
		for _, d := range distributions {
			if err := d.build(ctx, s); err != nil {
				return err
			}
		}
		return writeFile(filepath.Join(s.stamps(), "knative"), []byte(stamp+"\n"), 0o644)
	})
}

// knativeStamp identifies what Knative is made from.
func knativeStamp(s settings) (string, error) {
	values := []string{runtime.Version(), s.repository()}
	for _, d := range distributions {
		changes, err := render(d.name, s)
		if err != nil {
			return "", err
		}
		for _, data := range changes {
			values = append(values, string(data))
		}
	}
	return hashFolder(moduleFolder(s.layout, "knative"), values...)
}

func (d distribution) build(ctx context.Context, s settings) error {
	folder := s.knative(d.name)
	var documents []string
	for _, source := range d.sources {
		module, err := downloadModule(ctx, moduleFolder(s.layout, "knative"), source.module)
		if err != nil {
			return err
		}
		manifest, err := source.collect(os.DirFS(module))
		if err != nil {
			return err
		}
		documents = append(documents, manifest)
	}
	changes, err := render(d.name, s)
	if err != nil {
		return err
	}
	changes["upstream.yaml"] = []byte(joinDocuments(documents))
	for name, data := range changes {
		if err := writeFile(filepath.Join(folder, name), data, 0o644); err != nil {
			return err
		}
	}
	changed, err := command{arguments: []string{s.bin("kubectl"), "kustomize", folder}}.run(ctx)
	if err != nil {
		return err
	}
	unresolved := filepath.Join(folder, "changed.yaml")
	if err := writeFile(unresolved, []byte(changed), 0o644); err != nil {
		return err
	}
	resolved, err := command{
		dir:         moduleFolder(s.layout, "knative"),
		environment: append(goEnvironment(), koEnvironment(s)...),
		arguments:   []string{s.bin("ko"), "resolve", "--sbom=none", "-f", unresolved},
	}.run(ctx)
	if err != nil {
		return err
	}
	definitions, others := splitDefinitions(resolved)
	if err := writeFile(s.knative(d.name+"-definitions.yaml"), []byte(definitions), 0o644); err != nil {
		return err
	}
	return writeFile(s.knative(d.name+".yaml"), []byte(others), 0o644)
}

// koEnvironment makes ko build on the local base image and push to the local
// registry.
func koEnvironment(s settings) []string {
	return []string{
		"KO_DOCKER_REPO=" + s.repository(),
		"KO_DEFAULTBASEIMAGE=" + s.baseImage(),
		"KO_DEFAULTPLATFORMS=linux/" + runtime.GOARCH,
	}
}

// installKnative gives the cluster its DNS, its ingress and Knative, unless it
// has just these.
func installKnative(ctx context.Context, p *progress, s settings, k kubectl) error {
	contents, err := render("cluster", s)
	if err != nil {
		return err
	}
	stamp, err := hashFolder(s.knative())
	if err != nil {
		return err
	}
	for _, data := range contents {
		stamp += " " + hashText(string(data))
	}
	if installed, err := os.ReadFile(s.installed()); err == nil && string(installed) == stamp {
		return nil
	}
	return p.stage("installing Knative", "", func() error {
		for _, name := range []string{"dns.yaml", "ingress.yaml"} {
			if err := k.apply(ctx, string(contents[name])); err != nil {
				return err
			}
		}
		for _, suffix := range []string{"-definitions.yaml", ".yaml"} {
			for _, d := range distributions {
				manifest, err := os.ReadFile(s.knative(d.name + suffix))
				if err != nil {
					return err
				}
				// Where an earlier installation was interrupted, webhooks are
				// called that don't answer yet; kubectl applies the rest.
				if err := await(ctx, 3*time.Minute, func(ctx context.Context) error {
					if err := mustLive(s.layout, "kube-apiserver", "kubelet", "containerd"); err != nil {
						return err
					}
					return k.apply(ctx, string(manifest))
				}); err != nil {
					return err
				}
			}
			if err := k.wait(ctx, time.Minute, "--for=condition=Established", "crd", "--all"); err != nil {
				return err
			}
		}
		return writeFile(s.installed(), []byte(stamp), 0o644)
	})
}

// probes are objects that Knative's webhooks have to pass for it to be of use.
const probes = `
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: probe, namespace: default}
spec: {template: {spec: {containers: [{image: example.com/probe}]}}}
---
apiVersion: eventing.knative.dev/v1
kind: Broker
metadata: {name: probe, namespace: default}
---
apiVersion: messaging.knative.dev/v1
kind: InMemoryChannel
metadata: {name: probe, namespace: default}
`

// awaitKnative waits until Knative is up: first its webhooks, by a dry run,
// for right after a restart of the machine the status of a Deployment is what
// was true before; then its Deployments.
func awaitKnative(ctx context.Context, s settings, k kubectl) error {
	answers := func(ctx context.Context) error {
		_, err := k.with(strings.NewReader(probes)).run(ctx, "create", "--dry-run=server", "--filename=-")
		return err
	}
	rolledOut := func(ctx context.Context) error {
		for _, d := range distributions {
			if _, err := k.run(ctx, "rollout", "status", "deployment", "--timeout=5s", "--namespace="+d.namespace); err != nil {
				return err
			}
		}
		return nil
	}
	for _, ready := range []func(context.Context) error{answers, rolledOut} {
		if err := await(ctx, 5*time.Minute, func(ctx context.Context) error {
			if err := mustLive(s.layout, "kube-apiserver", "kubelet", "containerd", "traefik", "coredns"); err != nil {
				return err
			}
			return ready(ctx)
		}); err != nil {
			return err
		}
	}
	return nil
}
