/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"strings"
	"testing"
)

func TestUnfit(t *testing.T) {
	fit := machine{system: "linux", cgroupVersion: 1, namespaces: true, checkout: "/src/sidenote", freeBytes: bytesToBuild}
	tests := []struct {
		name   string
		change func(*machine)
		want   string
	}{
		{"fit", func(*machine) {}, ""},
		{"little disk, but built", func(m *machine) { m.freeBytes, m.built = bytesToRun, true }, ""},
		{"another system", func(m *machine) { m.system = "darwin" }, "needs Linux"},
		{"not root", func(m *machine) { m.user = 1000 }, "needs root"},
		{"no cgroups", func(m *machine) { m.cgroupVersion = 0 }, "no cgroups"},
		{"no namespaces", func(m *machine) { m.namespaces = false }, "no network namespaces"},
		{"a deep checkout", func(m *machine) { m.checkout = "/" + strings.Repeat("a", longestCheckout) }, "path of at most"},
		{"a space in the path", func(m *machine) { m.checkout = "/my files" }, "spaces"},
		{"little disk", func(m *machine) { m.freeBytes-- }, "first build takes"},
		{"no disk", func(m *machine) { m.freeBytes, m.built = bytesToRun-1, true }, "free disk"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := fit
			test.change(&m)
			err := m.unfit()
			switch {
			case test.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.want != "" && err == nil:
				t.Error("not refused")
			case test.want != "" && !(strings.Contains(err.Error(), test.want) && strings.Contains(err.Error(), "KO_DOCKER_REPO")):
				t.Errorf("refused without the reason or what to do instead: %v", err)
			}
		})
	}
}

func TestMissingPackages(t *testing.T) {
	got := missingPackages(func(program string) bool { return program != "iptables" })
	if len(got) != 1 || got[0] != "iptables" {
		t.Errorf("got %v", got)
	}
}
