/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
)

// machine is what of a machine decides whether the cluster can run there.
type machine struct {
	system        string
	user          int
	cgroupVersion int
	// namespaces says whether the kernel has network namespaces.
	namespaces bool
	checkout   string
	// freeBytes is the room on the checkout's disk, of which so much is
	// needed at first and so much later.
	freeBytes uint64
	built     bool
}

// What the build caches, the module cache and the cluster's folder take.
const (
	bytesToBuild = 25 << 30
	bytesToRun   = 3 << 30
)

// unfit says why the cluster can't run on a machine; nil where it can.
func (m machine) unfit() error {
	switch {
	case m.system != "linux":
		return cannotWork("it needs Linux, and this is " + m.system)
	case m.user != 0:
		return cannotWork("it needs root, for namespaces, cgroups and mounts (try: sudo -E env PATH=\"$PATH\" make up)")
	case m.cgroupVersion == 0:
		return cannotWork("no cgroups are mounted under /sys/fs/cgroup")
	case !m.namespaces:
		return cannotWork("the kernel has no network namespaces")
	case len(m.checkout) > longestCheckout:
		return cannotWork(fmt.Sprintf("the path of the checkout is %d bytes long and sockets' names may not be: clone it to a path of at most %d", len(m.checkout), longestCheckout))
	case strings.ContainsAny(m.checkout, " \t\n\"\\"):
		return cannotWork("the path of the checkout has spaces, quotes or backslashes: clone it to another one")
	case !m.built && m.freeBytes < bytesToBuild:
		return cannotWork(fmt.Sprintf("the first build takes %d GiB of disk and %d are free", bytesToBuild>>30, m.freeBytes>>30))
	case m.freeBytes < bytesToRun:
		return cannotWork(fmt.Sprintf("it needs %d GiB of free disk", bytesToRun>>30))
	}
	return nil
}

// cannotWork is an error that also says what to do instead.
func cannotWork(reason string) error {
	return errors.New("the local cluster can't run here: " + reason + ".\n" +
		"Use a cluster of your own instead: one with Knative Serving and Eventing, and a registry that it and you reach.\n" +
		"    export KUBECONFIG=/path/to/its/kubeconfig\n" +
		"    export KO_DOCKER_REPO=registry.example.com/you")
}

func thisMachine(l layout) machine {
	m := machine{system: runtime.GOOS, user: os.Geteuid(), checkout: l.Checkout, freeBytes: freeBytes(l.Checkout)}
	if mounts, err := readMounts(); err == nil {
		_, m.cgroupVersion = cgroupRoots(mounts)
	}
	_, err := os.Stat("/proc/self/ns/net")
	m.namespaces = err == nil
	_, err = os.Stat(l.bin("kube-apiserver"))
	m.built = err == nil
	return m
}
