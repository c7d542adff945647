/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"slices"
	"testing"
)

const mountinfo = `22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:26 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
31 22 0:27 / /sys/fs/cgroup/unified rw,relatime shared:4 - cgroup2 cgroup2 rw
40 22 0:40 / /c/.cluster/state/a\040b rw shared:7 master:1 - tmpfs tmpfs rw,size=64k
41 40 0:41 / /c/.cluster/state/a\040b/inner rw - overlay overlay rw
42 22 0:42 / /c/.clusterish rw - tmpfs tmpfs rw
a broken line
`

func TestMountsBelowAFolderLastFirst(t *testing.T) {
	var points []string
	for _, mount := range parseMounts(mountinfo) {
		points = append(points, mount.point)
	}
	want := []string{"/c/.cluster/state/a b/inner", "/c/.cluster/state/a b"}
	if got := below("/c/.cluster", points); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCgroupRoots(t *testing.T) {
	unified := mount{point: "/sys/fs/cgroup", filesystem: "cgroup2"}
	tests := []struct {
		name    string
		mounts  []mount
		roots   []string
		version int
	}{
		{"version 1 with an empty version 2 beside it", parseMounts(mountinfo), []string{"/sys/fs/cgroup/cpu"}, 1},
		{"version 2", []mount{unified}, []string{"/sys/fs/cgroup"}, 2},
		{"version 2 mounted twice", []mount{unified, {point: "/mnt", filesystem: "cgroup2"}}, []string{"/sys/fs/cgroup"}, 2},
		{"none", []mount{{point: "/", filesystem: "ext4"}}, nil, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			roots, version := cgroupRoots(test.mounts)
			if version != test.version || !slices.Equal(roots, test.roots) {
				t.Errorf("version %d at %q", version, roots)
			}
		})
	}
}
