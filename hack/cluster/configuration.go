/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"bytes"
	"embed"
	"encoding/base64"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"text/template"
)

// files are the configurations of the node (files/node), what the cluster
// itself is given (files/cluster, files/kserve-namespace), and the changes to
// the manifests of each distribution (files/serving, files/eventing,
// files/kserve). All are templates over settings.
//
//go:embed files
var files embed.FS

// settings is what the files may refer to.
type settings struct {
	layout
	identity
	// Filesystem is the type of the one that has the cluster's folder (statfs(2)).
	Filesystem int64
}

func (s settings) Data(name string) string        { return s.data(name) }
func (s settings) Config(name string) string      { return s.config(name) }
func (s settings) Debian(path string) string      { return s.debian(path) }
func (s settings) Certificate(name string) string { return s.certificate(name) }
func (s settings) Key(name string) string         { return s.key(name) }
func (s settings) Kubeconfig(name string) string  { return s.kubeconfig(name) }
func (s settings) ContainerdSocket() string       { return s.containerdSocket() }
func (s settings) Registry() string               { return s.layout.registry() }
func (s settings) RegistryAddress() string        { return s.identity.registry() }
func (s settings) PauseImage() string             { return s.pauseImage() }
func (settings) NodeAddress() string              { return nodeAddress }
func (settings) PodRange() string                 { return podRange }
func (settings) DNSAddress() string               { return dnsIP }
func (settings) ClusterDomain() string            { return clusterDomain }
func (settings) IngressPort() int                 { return ingressPort }
func (settings) InnerIngressPort() int            { return innerIngressPort }

// Base64 reads a file for a Secret.
func (settings) Base64(path string) (string, error) {
	data, err := os.ReadFile(path)
	return base64.StdEncoding.EncodeToString(data), err
}

// authorityPlaceholder stands in rendered manifests for authorityBundle, which
// changes with each life of the cluster while the manifests stay.
const authorityPlaceholder = "AUTHORITY-OF-THE-CLUSTER"

// authorityBundle is the certificate of the cluster's authority as the
// caBundle of a webhook.
func (s settings) authorityBundle() (string, error) { return s.Base64(s.certificate("ca")) }

// render renders the files below a folder, by their path relative to it.
func render(folder string, s settings) (map[string][]byte, error) {
	rendered := map[string][]byte{}
	root := path.Join("files", folder)
	err := fs.WalkDir(files, root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		t, err := template.New(name).Option("missingkey=error").Parse(string(data))
		if err != nil {
			return err
		}
		var out bytes.Buffer
		if err := t.Execute(&out, s); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		rendered[strings.TrimPrefix(name, root+"/")] = out.Bytes()
		return nil
	})
	return rendered, err
}

// overlayMagic marks an overlay, which is where a checkout within a container
// is.
const overlayMagic = 0x794c7630

// Snapshotter is how containerd keeps images: the kernel can't lay an overlay
// over an overlay.
func (s settings) Snapshotter() string {
	if s.Filesystem == overlayMagic {
		return "native"
	}
	return "overlayfs"
}

// MeasuresDisk says whether the kubelet can tell how full its disk is, which
// it can't for an overlay. It then enforces the limits of emptyDirs too.
func (s settings) MeasuresDisk() bool { return s.Filesystem != overlayMagic }

func newSettings(l layout, id identity) (settings, error) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(l.Root, &stat); err != nil {
		return settings{}, fmt.Errorf("file system of %s: %w", l.Root, err)
	}
	return settings{layout: l, identity: id, Filesystem: int64(stat.Type)}, nil
}

// writeConfiguration writes the node's configurations.
func writeConfiguration(s settings) error {
	rendered, err := render("node", s)
	if err != nil {
		return err
	}
	for name, data := range rendered {
		if err := writeFile(s.config(name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
