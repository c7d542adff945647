/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
)

// layout says where everything of one cluster is. All of it is below Root, a
// folder of the checkout that git ignores.
type layout struct {
	Checkout string
	Root     string
}

func newLayout(checkout string) layout {
	return layout{Checkout: checkout, Root: filepath.Join(checkout, ".cluster")}
}

func (l layout) path(elements ...string) string {
	return filepath.Join(append([]string{l.Root}, elements...)...)
}

// bin holds what was built; sources what had to be prepared for that; debian
// what was unpacked from Debian packages. These, the images and the rendered
// manifests survive down.
func (l layout) bin(name string) string       { return l.path("bin", name) }
func (l layout) debian(path ...string) string { return l.path(append([]string{"debian"}, path...)...) }
func (l layout) sources(path ...string) string {
	return l.path(append([]string{"src"}, path...)...)
}

// manifests holds the rendered manifests of a platform.
func (l layout) manifests(platform string, path ...string) string {
	return l.path(append([]string{platform}, path...)...)
}
func (l layout) registry() string { return l.path("registry") }
func (l layout) stamps() string   { return l.path("stamps") }

// logs survive down too, so that a failure can be looked into.
func (l layout) log(name string) string { return l.path("logs", name+".log") }

// The rest is the state of one life of the cluster, which down removes.
func (l layout) state() string           { return l.path("state") }
func (l layout) process(n string) string { return l.path("state", "processes", n+".json") }
func (l layout) certificate(n string) string {
	return l.path("state", "pki", n+".crt")
}
func (l layout) key(n string) string        { return l.path("state", "pki", n+".key") }
func (l layout) kubeconfig(n string) string { return l.path("state", n+".kubeconfig") }
func (l layout) config(n string) string     { return l.path("state", "config", n) }
func (l layout) data(n string) string       { return l.path("state", n) }
func (l layout) containerdSocket() string   { return l.path("state", "containerd.sock") }
func (l layout) installed(p string) string  { return l.path("state", p+"-installed") }

// record is where identity is kept.
func (l layout) record() string { return l.path("cluster.json") }
func (l layout) lock() string   { return l.path("lock") }

// longestCheckout is the longest path at which containerd's socket still fits
// the 107 bytes that Linux allows for the name of one.
const longestCheckout = 107 - len("/.cluster/state/containerd.sock.ttrpc")

// clusterName is the name of the network namespace, the cgroup and the node of
// the cluster of this checkout: two checkouts on a machine never share one.
func clusterName(checkout string) string {
	sum := sha256.Sum256([]byte(checkout))
	return "sidenote-" + hex.EncodeToString(sum[:4])
}
