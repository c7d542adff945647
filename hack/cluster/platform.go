/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// platform is built from one module of third_party and installed at once:
// Knative, or KServe on top of it.
type platform struct {
	// name is that of the module, and of the folder with the result.
	name string
	// title is the name in progress lines.
	title string
	// hint says how long the first build takes.
	hint          string
	distributions []distribution
	// prerequisites is the folder of files that are applied first.
	prerequisites string
	// probes are objects that the webhooks must admit before the platform is of
	// use.
	probes string
}

// bringUp builds, installs and awaits a platform, or the parts of it that are
// missing.
func (f platform) bringUp(ctx context.Context, p *progress, s settings, k kubectl) error {
	if err := f.build(ctx, p, s); err != nil {
		return err
	}
	if err := f.install(ctx, p, s, k); err != nil {
		return err
	}
	return p.stage("waiting for "+f.title, "", func() error { return f.await(ctx, s, k) })
}

// build renders the manifests of a platform and builds and pushes the images
// that they name, by ko.
func (f platform) build(ctx context.Context, p *progress, s settings) error {
	stamp, err := f.stamp(s)
	if err != nil {
		return err
	}
	if stampHolds(s.layout, f.name, stamp) {
		return nil
	}
	return p.stage("building "+f.title, f.hint, func() error {
		for _, d := range f.distributions {
			if err := f.buildDistribution(ctx, s, d); err != nil {
				return err
			}
		}
		return writeFile(filepath.Join(s.stamps(), f.name), []byte(stamp+"\n"), 0o644)
	})
}

// stamp identifies what a platform is made from.
func (f platform) stamp(s settings) (string, error) {
	values := []string{runtime.Version(), s.repository()}
	for _, d := range f.distributions {
		changes, err := render(d.name, s)
		if err != nil {
			return "", err
		}
		for _, data := range changes {
			values = append(values, string(data))
		}
	}
	return hashFolder(moduleFolder(s.layout, f.name), values...)
}

func (f platform) buildDistribution(ctx context.Context, s settings, d distribution) error {
	folder := s.manifests(f.name, d.name)
	var documents []string
	for _, source := range d.sources {
		module, err := downloadModule(ctx, moduleFolder(s.layout, f.name), source.module)
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
		dir:         moduleFolder(s.layout, f.name),
		environment: append(goEnvironment(), koEnvironment(s)...),
		arguments:   []string{s.bin("ko"), "resolve", "--sbom=none", "-f", unresolved},
	}.run(ctx)
	if err != nil {
		return err
	}
	definitions, others := splitDefinitions(resolved)
	if err := writeFile(s.manifests(f.name, d.name+"-definitions.yaml"), []byte(definitions), 0o644); err != nil {
		return err
	}
	return writeFile(s.manifests(f.name, d.name+".yaml"), []byte(others), 0o644)
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

// install gives the cluster the prerequisites of a platform and the platform,
// unless it has just these.
func (f platform) install(ctx context.Context, p *progress, s settings, k kubectl) error {
	prerequisites, err := render(f.prerequisites, s)
	if err != nil {
		return err
	}
	authority, err := s.authorityBundle()
	if err != nil {
		return err
	}
	stamp, err := hashFolder(s.manifests(f.name))
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(prerequisites)) {
		stamp += " " + hashText(string(prerequisites[name]))
	}
	if installed, err := os.ReadFile(s.installed(f.name)); err == nil && string(installed) == stamp {
		return nil
	}
	return p.stage("installing "+f.title, "", func() error {
		for _, name := range slices.Sorted(maps.Keys(prerequisites)) {
			if err := k.apply(ctx, string(prerequisites[name])); err != nil {
				return err
			}
		}
		for _, suffix := range []string{"-definitions.yaml", ".yaml"} {
			for _, d := range f.distributions {
				manifest, err := os.ReadFile(s.manifests(f.name, d.name+suffix))
				if err != nil {
					return err
				}
				// Where an earlier installation was interrupted, webhooks are
				// called that don't respond yet; kubectl applies the rest.
				if err := await(ctx, 3*time.Minute, func(ctx context.Context) error {
					if err := mustLive(s.layout, "kube-apiserver", "kubelet", "containerd"); err != nil {
						return err
					}
					return k.apply(ctx, strings.ReplaceAll(string(manifest), authorityPlaceholder, authority))
				}); err != nil {
					return err
				}
			}
			if err := k.wait(ctx, time.Minute, "--for=condition=Established", "crd", "--all"); err != nil {
				return err
			}
		}
		return writeFile(s.installed(f.name), []byte(stamp), 0o644)
	})
}

// await waits until a platform is up: first its webhooks, by a dry run, because
// right after a restart of the machine the status of a Deployment is what was
// true before; then its Deployments.
func (f platform) await(ctx context.Context, s settings, k kubectl) error {
	responses := func(ctx context.Context) error {
		_, err := k.with(strings.NewReader(f.probes)).run(ctx, "create", "--dry-run=server", "--filename=-")
		return err
	}
	rolledOut := func(ctx context.Context) error {
		for _, d := range f.distributions {
			if _, err := k.run(ctx, "rollout", "status", "deployment", "--timeout=5s", "--namespace="+d.namespace); err != nil {
				return err
			}
		}
		return nil
	}
	for _, ready := range []func(context.Context) error{responses, rolledOut} {
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
