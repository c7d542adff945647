/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// build is a go build in one of the modules of third_party.
type build struct {
	module   string
	hint     string
	packages []string
	ldflags  string
	// modfile makes the go.mod to build with, where it isn't the pinned one.
	modfile func(ctx context.Context, l layout) (string, error)
}

const kubernetesVersion = "1.35.6"

var kubernetes = build{
	module: "kubernetes",
	hint:   "about 5 min the first time",
	packages: []string{
		"./etcd",
		"k8s.io/kubernetes/cmd/kube-apiserver",
		"k8s.io/kubernetes/cmd/kube-controller-manager",
		"k8s.io/kubernetes/cmd/kube-proxy",
		"k8s.io/kubernetes/cmd/kube-scheduler",
		"k8s.io/kubernetes/cmd/kubectl",
		"k8s.io/kubernetes/cmd/kubelet",
	},
	// Without these the node says v0.0.0, and clients draw conclusions.
	ldflags: "-s -w" +
		" -X k8s.io/component-base/version.gitVersion=v" + kubernetesVersion +
		" -X k8s.io/component-base/version.gitMajor=1" +
		" -X k8s.io/component-base/version.gitMinor=35",
}

// builds are in the order in which they are needed.
var builds = []build{
	kubernetes,
	{
		module:   "ko",
		hint:     "about 1 min the first time",
		packages: []string{"github.com/google/ko", "github.com/google/go-containerregistry/cmd/crane"},
		ldflags:  "-s -w",
	},
	{
		module:   "coredns",
		hint:     "under 1 min the first time",
		packages: []string{"."},
		ldflags:  "-s -w",
	},
	{
		module:   "traefik",
		hint:     "about 4 min the first time",
		packages: []string{"github.com/traefik/traefik/v3/cmd/traefik"},
		ldflags:  "-s -w",
		modfile:  traefikWithoutDNSProviders,
	},
}

// goEnvironment is one set of flags for everything that is compiled, those of
// ko, so that each package is compiled once.
func goEnvironment() []string {
	return []string{"CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-trimpath -buildvcs=false"}
}

// binaries are the names of what a build makes.
func (b build) binaries() []string {
	var names []string
	for _, p := range b.packages {
		if p == "." {
			p = b.module
		}
		names = append(names, path.Base(p))
	}
	return names
}

// run builds what is missing or older than its pins.
func (b build) run(ctx context.Context, p *progress, l layout) error {
	stamp, err := b.stamp(l)
	if err != nil {
		return err
	}
	if b.upToDate(l, stamp) {
		return nil
	}
	return p.stage("building "+strings.Join(b.binaries(), ", "), b.hint, func() error {
		arguments := []string{"go", "build", "-o", l.path("bin") + "/", "-ldflags", b.ldflags}
		if b.modfile != nil {
			modfile, err := b.modfile(ctx, l)
			if err != nil {
				return err
			}
			arguments = append(arguments, "-modfile="+modfile)
		}
		_, err := command{
			dir:         moduleFolder(l, b.module),
			environment: goEnvironment(),
			log:         l.log("build-" + b.module),
			arguments:   append(arguments, b.packages...),
		}.run(ctx)
		if err != nil {
			return err
		}
		return writeFile(filepath.Join(l.stamps(), b.module), []byte(stamp+"\n"), 0o644)
	})
}

func moduleFolder(l layout, module string) string {
	return filepath.Join(l.Checkout, "third_party", module)
}

func (b build) upToDate(l layout, stamp string) bool {
	if !stampHolds(l, b.module, stamp) {
		return false
	}
	return !slices.ContainsFunc(b.binaries(), func(name string) bool {
		_, err := os.Stat(l.bin(name))
		return err != nil
	})
}

func stampHolds(l layout, name, stamp string) bool {
	data, err := os.ReadFile(filepath.Join(l.stamps(), name))
	return err == nil && strings.TrimSpace(string(data)) == stamp
}

// stamp identifies what a build is made from: its module's files, which pin
// all others, and its flags.
func (b build) stamp(l layout) (string, error) {
	return hashFolder(moduleFolder(l, b.module), append([]string{runtime.Version(), b.ldflags}, b.packages...)...)
}

// hashFolder hashes the files of a folder and some values.
func hashFolder(folder string, values ...string) (string, error) {
	hash := sha256.New()
	for _, value := range values {
		fmt.Fprintf(hash, "%q\n", value)
	}
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(folder, path)
		fmt.Fprintf(hash, "%q %x\n", relative, sha256.Sum256(data))
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("this checkout is not whole: %w", err)
	}
	return hex.EncodeToString(hash.Sum(nil)), err
}

func hashText(text string) string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(text)))
}
