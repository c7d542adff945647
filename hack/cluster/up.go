/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// up brings the cluster up with some platforms, from whatever state it is in,
// and returns once all of it is ready. It leaves a platform alone that it isn't
// told of.
func up(ctx context.Context, l layout, out io.Writer, platforms ...platform) (settings, error) {
	if err := thisMachine(l).unfit(); err != nil {
		return settings{}, err
	}
	id, err := ensureIdentity(l)
	if err != nil {
		return settings{}, err
	}
	s, err := newSettings(l, id)
	if err != nil {
		return s, err
	}
	p := newProgress(out)
	if err := ensureDebianPrograms(ctx, p, l); err != nil {
		return s, err
	}
	for _, b := range builds {
		if err := b.run(ctx, p, l); err != nil {
			return s, err
		}
	}
	if err := buildAndStart(ctx, p, s, platforms); err != nil {
		if ctx.Err() == nil {
			diagnose(l, out)
		}
		return s, err
	}
	return s, nil
}

// buildAndStart does what comes once the programs are there.
func buildAndStart(ctx context.Context, p *progress, s settings, platforms []platform) error {
	if err := p.stage("starting Kubernetes", "", func() error { return startNode(ctx, s) }); err != nil {
		return err
	}
	k := newKubectl(s.layout)
	for _, f := range platforms {
		if err := f.bringUp(ctx, p, s, k); err != nil {
			return err
		}
	}
	return nil
}

// startNode makes the namespace, the cgroup and the configuration, and starts
// each daemon that doesn't run, in the order in which they need each other.
func startNode(ctx context.Context, s settings) error {
	if err := ensureNamespace(ctx, s); err != nil {
		return err
	}
	if err := makeCgroups(s.Name); err != nil {
		return err
	}
	if err := ensureCertificates(s.layout, s.Name); err != nil {
		return err
	}
	if err := writeKubeconfigs(s.layout, s.identity); err != nil {
		return err
	}
	configuration, err := render("node", s)
	if err != nil {
		return err
	}
	if err := writeConfiguration(s); err != nil {
		return err
	}
	if err := copySelf(s.layout); err != nil {
		return err
	}
	ensure := func(daemons ...daemon) error {
		for _, d := range daemons {
			if err := ensureDaemon(s, d, settingsOf(d, buildOf(d), configuration)); err != nil {
				return err
			}
		}
		return nil
	}
	if err := ensure(residentDaemon(s), registryDaemon(s), runtimeDaemon(s)); err != nil {
		return err
	}
	if err := ensure(controlPlane(s)...); err != nil {
		return err
	}
	k := newKubectl(s.layout)
	if err := await(ctx, 2*time.Minute, func(ctx context.Context) error {
		if err := mustLive(s.layout, "resident", "etcd", "kube-apiserver"); err != nil {
			return err
		}
		_, err := k.run(ctx, "get", "--raw=/readyz")
		return err
	}); err != nil {
		return fmt.Errorf("the API server: %w", err)
	}
	if err := await(ctx, time.Minute, func(ctx context.Context) error {
		if err := mustLive(s.layout, "containerd"); err != nil {
			return err
		}
		connection, err := new(net.Dialer).DialContext(ctx, "unix", s.containerdSocket())
		if err != nil {
			return err
		}
		return connection.Close()
	}); err != nil {
		return fmt.Errorf("the container runtime: %w", err)
	}
	if err := ensure(nodeDaemons(s)...); err != nil {
		return err
	}
	// The node's pods need the pause image.
	if err := await(ctx, time.Minute, func(ctx context.Context) error {
		if err := mustLive(s.layout, "registry"); err != nil {
			return err
		}
		return pushImages(ctx, s)
	}); err != nil {
		return fmt.Errorf("the base images: %w", err)
	}
	if err := await(ctx, 2*time.Minute, func(ctx context.Context) error {
		if err := mustLive(s.layout, "kube-apiserver", "containerd", "kubelet", "kube-proxy"); err != nil {
			return err
		}
		// Asked of the kubelet itself, through the API server: after a restart
		// of the machine the node's own status is what was true before.
		_, err := k.run(ctx, "get", "--raw=/api/v1/nodes/"+s.Name+"/proxy/healthz")
		return err
	}); err != nil {
		return fmt.Errorf("the kubelet: %w", err)
	}
	return k.wait(ctx, 2*time.Minute, "--for=condition=Ready", "node/"+s.Name)
}

// ensureNamespace makes the network namespace. Where it is gone, such as after
// a restart of the machine, nothing that lived in it is of use: pods are made
// anew then, on the same etcd.
func ensureNamespace(ctx context.Context, s settings) error {
	exists, err := namespaceExists(s.Name)
	if err != nil || exists {
		return err
	}
	if err := endProcesses(s.layout, s.identity); err != nil {
		return err
	}
	if err := errors.Join(unmountBelow(s.state()), removeStrays(s.layout, s.identity)); err != nil {
		return err
	}
	for _, name := range []string{"addresses", "containerd-state"} {
		if err := os.RemoveAll(s.data(name)); err != nil {
			return err
		}
	}
	return makeNamespace(ctx, s.Name)
}

// buildOf tells one build of a daemon's program from the next. The resident's
// doesn't count: it is built at every change of this program, and to end it is
// to cut every connection through it.
func buildOf(d daemon) string {
	info, err := os.Stat(d.arguments[0])
	if err != nil || d.name == "resident" {
		return ""
	}
	return fmt.Sprint(info.Size(), info.ModTime().UnixNano())
}

// ensureDaemon starts a daemon that doesn't run or runs with other settings.
func ensureDaemon(s settings, d daemon, settings string) error {
	record, alive := readDaemon(s.layout, d.name)
	if alive && record.Settings == settings {
		return nil
	}
	if alive {
		if err := end([]processID{record.processID}, 10*time.Second); err != nil {
			return err
		}
	}
	return d.start(s.layout, s.Name, settings)
}

// copySelf keeps this program for the resident: go run removes its own.
func copySelf(l layout) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	data, err := os.ReadFile(self)
	if err != nil {
		return err
	}
	if kept, err := os.ReadFile(l.bin("cluster")); err == nil && slices.Equal(kept, data) {
		return nil
	}
	return writeFile(l.bin("cluster"), data, 0o755)
}

// exports is what a shell has to know of the cluster.
func exports(s settings, path string) string {
	var b strings.Builder
	export := func(name, value string) { fmt.Fprintf(&b, "export %s=%s\n", name, quote(value)) }
	export("KUBECONFIG", s.kubeconfig("admin"))
	for _, setting := range koEnvironment(s) {
		name, value, _ := strings.Cut(setting, "=")
		export(name, value)
	}
	export("SIDENOTE_INGRESS", s.ingressURL())
	bin := filepath.Dir(s.bin("kubectl"))
	if !slices.Contains(filepath.SplitList(path), bin) {
		fmt.Fprintf(&b, "export PATH=%s:\"$PATH\"\n", quote(bin))
	}
	return b.String()
}

// quote makes a shell take a text as it is.
func quote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
