/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

func exampleSettings() settings {
	return settings{
		layout:   newLayout("/checkout"),
		identity: identity{Checkout: "/checkout", Name: "sidenote-1234", RegistryPort: 20001, APIPort: 20002, IngressPort: 20003},
	}
}

func TestAllFilesRender(t *testing.T) {
	s := exampleSettings()
	s.layout = newLayout(t.TempDir())
	if err := ensureCertificates(s.layout, s.Name); err != nil {
		t.Fatal(err)
	}
	folders := []string{"node"}
	for _, f := range []platform{knative, kserve} {
		folders = append(folders, f.prerequisites)
		for _, d := range f.distributions {
			folders = append(folders, d.name)
		}
	}
	for _, folder := range folders {
		rendered, err := render(folder, s)
		if err != nil {
			t.Fatal(err)
		}
		if len(rendered) == 0 {
			t.Errorf("nothing in %s", folder)
		}
		for name, data := range rendered {
			if strings.Contains(string(data), "{{") {
				t.Errorf("%s/%s isn't rendered whole", folder, name)
			}
		}
	}
}

// The manifests outlive the cluster and its authority.
func TestWebhooksTrustTheAuthorityOfTheirCluster(t *testing.T) {
	s := exampleSettings()
	s.layout = newLayout(t.TempDir())
	changes, err := render("kserve", s)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(changes["kustomization.yaml"]), "value: "+authorityPlaceholder+"}") {
		t.Errorf("no webhook has the placeholder %s", authorityPlaceholder)
	}
	for range 2 {
		if err := ensureCertificates(s.layout, s.Name); err != nil {
			t.Fatal(err)
		}
		authority, err := os.ReadFile(s.certificate("ca"))
		if err != nil {
			t.Fatal(err)
		}
		if bundle, err := s.authorityBundle(); err != nil || bundle != base64.StdEncoding.EncodeToString(authority) {
			t.Errorf("another bundle than the authority: %s, %v", bundle, err)
		}
		if after, err := render("kserve", s); err != nil || string(after["kustomization.yaml"]) != string(changes["kustomization.yaml"]) {
			t.Errorf("another authority changes what is built: %v", err)
		}
		if err := os.RemoveAll(s.state()); err != nil {
			t.Fatal(err)
		}
	}
}

// What refers to a place of the machine refers to the cluster's own folder.
func TestNodeConfigurationNamesNoOtherPlace(t *testing.T) {
	rendered, err := render("node", exampleSettings())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"containerd.toml":      `sandbox_image = "127.0.0.1:20001/sidenote/pause:latest"`,
		"kubelet.yaml":         "cgroupRoot: /sidenote-1234\n",
		"proxy.yaml":           "clusterCIDR: 198.18.128.0/17\n",
		"registry.yaml":        "rootdirectory: /checkout/.cluster/registry\n",
		"cni/10-pods.conflist": `"dataDir": "/checkout/.cluster/state/addresses"`,
	} {
		if !strings.Contains(string(rendered[name]), want) {
			t.Errorf("%s lacks %q", name, want)
		}
	}
	for name, data := range rendered {
		for _, place := range []string{"/var/", "/etc/", "/run/", "/opt/"} {
			if strings.Contains(string(data), place) {
				t.Errorf("%s names %s", name, place)
			}
		}
	}
	if !json.Valid(rendered["cni/10-pods.conflist"]) {
		t.Error("the network's configuration isn't JSON")
	}
}

func TestDaemonStartsAnewForItsOwnSettingsOnly(t *testing.T) {
	s := exampleSettings()
	configuration, err := render("node", s)
	if err != nil {
		t.Fatal(err)
	}
	changed, err := render("node", s)
	if err != nil {
		t.Fatal(err)
	}
	changed["kubelet.yaml"] = append(changed["kubelet.yaml"], "maxPods: 10\n"...)
	for _, d := range daemons(s) {
		before, after := settingsOf(d, "a build", configuration), settingsOf(d, "a build", changed)
		if same := before == after; same == (d.name == "kubelet") {
			t.Errorf("%s: same settings: %v", d.name, same)
		}
		if before == settingsOf(d, "another build", configuration) {
			t.Errorf("%s: another build is the same", d.name)
		}
	}
}

func TestAnOverlayIsNotOverlaid(t *testing.T) {
	for filesystem, want := range map[int64][]string{
		0xef53:       {`snapshotter = "overlayfs"`, "localStorageCapacityIsolation: true"},
		overlayMagic: {`snapshotter = "native"`, "localStorageCapacityIsolation: false"},
	} {
		s := exampleSettings()
		s.Filesystem = filesystem
		rendered, err := render("node", s)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(rendered["containerd.toml"]) + string(rendered["kubelet.yaml"]); !strings.Contains(got, want[0]) || !strings.Contains(got, want[1]) {
			t.Errorf("file system %x: no %q", filesystem, want)
		}
	}
}

func TestExports(t *testing.T) {
	s := exampleSettings()
	got := exports(s, "/usr/bin")
	for _, want := range []string{
		"export KUBECONFIG='/checkout/.cluster/state/admin.kubeconfig'\n",
		"export KO_DOCKER_REPO='127.0.0.1:20001/sidenote'\n",
		"export SIDENOTE_INGRESS='http://127.0.0.1:20003'\n",
		"export PATH='/checkout/.cluster/bin':\"$PATH\"\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s\nlacks %s", got, want)
		}
	}
	if got := exports(s, "/checkout/.cluster/bin:/usr/bin"); strings.Contains(got, "PATH='") {
		t.Errorf("the path grows each time:\n%s", got)
	}
	if got, want := quote("it's $HOME"), `'it'\''s $HOME'`; got != want {
		t.Errorf("quoted: %s", got)
	}
}
