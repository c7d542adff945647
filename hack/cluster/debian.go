/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// unpackedPackages are unpacked below the cluster's folder, not installed: an
// installed containerd or registry would start as a service of the machine,
// and Debian's containerd and Docker's can't both be installed.
var unpackedPackages = []string{
	"containerd", "runc", "containernetworking-plugins", "docker-registry", "catatonit",
}

// unpackedPrograms are what of them is used, as a check that they are there.
var unpackedPrograms = []string{
	"usr/bin/containerd", "usr/bin/containerd-shim-runc-v2", "usr/sbin/runc",
	"usr/lib/cni/ptp", "usr/lib/cni/host-local", "usr/lib/cni/portmap", "usr/lib/cni/loopback",
	"usr/bin/docker-registry", "usr/bin/catatonit",
}

// installedPrograms are tools of the machine, by the package that has each.
// None of these packages brings a service.
var installedPrograms = map[string]string{
	"ip":       "iproute2",
	"iptables": "iptables",
	"nsenter":  "util-linux",
}

// missingPackages lists the packages of the programs that aren't there.
func missingPackages(has func(program string) bool) []string {
	var packages []string
	for program, name := range installedPrograms {
		if !has(program) {
			packages = append(packages, name)
		}
	}
	return packages
}

func isInstalled(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

func unpacked(l layout) bool {
	for _, program := range unpackedPrograms {
		if _, err := os.Stat(l.debian(program)); err != nil {
			return false
		}
	}
	return true
}

// ensureDebianPrograms installs and unpacks what is missing.
func ensureDebianPrograms(ctx context.Context, p *progress, l layout) error {
	install := missingPackages(isInstalled)
	if len(install) == 0 && unpacked(l) {
		return nil
	}
	if !isInstalled("apt-get") {
		return cannotWork("this isn't Debian or a kin of it (no apt-get), from which " +
			strings.Join(append(install, unpackedPackages...), ", ") + " would be taken")
	}
	return p.stage("fetching Debian packages", "about 20s", func() error {
		if _, err := aptGet(ctx, l, l.Root, "update"); err != nil {
			return err
		}
		if len(install) > 0 {
			if _, err := aptGet(ctx, l, l.Root, append([]string{"install", "--yes", "--no-install-recommends"}, install...)...); err != nil {
				return err
			}
		}
		if unpacked(l) {
			return nil
		}
		return unpackDebian(ctx, l)
	})
}

func unpackDebian(ctx context.Context, l layout) error {
	archives := l.path("debian-archives")
	if err := errors.Join(os.RemoveAll(archives), os.RemoveAll(l.debian()), os.MkdirAll(archives, 0o755), os.MkdirAll(l.debian(), 0o755)); err != nil {
		return err
	}
	if _, err := aptGet(ctx, l, archives, append([]string{"download"}, unpackedPackages...)...); err != nil {
		return err
	}
	found, err := filepath.Glob(filepath.Join(archives, "*.deb"))
	if err != nil {
		return err
	}
	for _, archive := range found {
		if _, err := (command{arguments: []string{"dpkg-deb", "--extract", archive, l.debian()}}).run(ctx); err != nil {
			return err
		}
	}
	if !unpacked(l) {
		return fmt.Errorf("the packages %s lack one of %s", strings.Join(unpackedPackages, ", "), strings.Join(unpackedPrograms, ", "))
	}
	return os.RemoveAll(archives)
}

func aptGet(ctx context.Context, l layout, dir string, arguments ...string) (string, error) {
	return command{
		dir:         dir,
		environment: []string{"DEBIAN_FRONTEND=noninteractive"},
		log:         l.log("apt"),
		// Another apt may hold the lock, such as the machine's own updates.
		arguments: append([]string{"apt-get", "-o", "DPkg::Lock::Timeout=120", "-o", "APT::Sandbox::User=root"}, arguments...),
	}.run(ctx)
}
