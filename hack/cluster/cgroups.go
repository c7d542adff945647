/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cgroupRoots returns where a node's cgroup has to be: in each hierarchy of
// version 1, or in the one of version 2. A version 2 hierarchy beside those of
// version 1 has no controllers, so nothing of the node is in it.
func cgroupRoots(mounts []mount) (roots []string, version int) {
	var unified []string
	for _, mount := range mounts {
		switch mount.filesystem {
		case "cgroup":
			roots = append(roots, mount.point)
		case "cgroup2":
			unified = append(unified, mount.point)
		}
	}
	if len(roots) > 0 {
		return roots, 1
	}
	if len(unified) > 0 {
		return unified[:1], 2
	}
	return nil, 0
}

// makeCgroups makes the cgroup under which the kubelet puts all pods.
func makeCgroups(name string) error {
	mounts, err := readMounts()
	if err != nil {
		return err
	}
	roots, version := cgroupRoots(mounts)
	if version == 0 {
		return errors.New("no cgroups are mounted under /sys/fs/cgroup")
	}
	for _, root := range roots {
		if version == 2 {
			// One by one: a controller that the kernel lacks must not hold
			// back the others. The kubelet says which one it misses.
			for _, controller := range []string{"cpu", "cpuset", "io", "memory", "pids", "hugetlb"} {
				_ = os.WriteFile(filepath.Join(root, "cgroup.subtree_control"), []byte("+"+controller), 0o644)
			}
		}
		if err := os.Mkdir(filepath.Join(root, name), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// cgroupProcesses lists the processes of the cluster's cgroup and all below
// it: those of its pods, and none else.
func cgroupProcesses(name string) ([]int, error) {
	var pids []int
	err := eachCgroup(name, func(folder string) error {
		data, err := os.ReadFile(filepath.Join(folder, "cgroup.procs"))
		for _, field := range strings.Fields(string(data)) {
			if pid, err := strconv.Atoi(field); err == nil && !slices.Contains(pids, pid) {
				pids = append(pids, pid)
			}
		}
		return ignoreMissing(err)
	})
	return pids, err
}

// removeCgroups removes the cluster's cgroup, which must be empty of
// processes, and all below it.
func removeCgroups(name string) error {
	var folders []string
	if err := eachCgroup(name, func(folder string) error {
		folders = append(folders, folder)
		return nil
	}); err != nil {
		return err
	}
	// A killed process leaves its cgroup a moment after it is gone.
	deadline := time.Now().Add(5 * time.Second)
	for _, folder := range slices.Backward(folders) {
		for {
			err := ignoreMissing(os.Remove(folder))
			if err == nil {
				break
			}
			if !errors.Is(err, syscall.EBUSY) || time.Now().After(deadline) {
				return fmt.Errorf("removing the cgroup %s: %w", folder, err)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	return nil
}

// eachCgroup visits the cluster's cgroup in each hierarchy, parents first.
// That of version 2 beside version 1 too: runc makes cgroups in all.
func eachCgroup(name string, visit func(folder string) error) error {
	mounts, err := readMounts()
	if err != nil {
		return err
	}
	for _, mount := range mounts {
		if mount.filesystem != "cgroup" && mount.filesystem != "cgroup2" {
			continue
		}
		err := filepath.WalkDir(filepath.Join(mount.point, name), func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return ignoreMissing(err)
			}
			if !entry.IsDir() {
				return nil
			}
			return visit(path)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV) {
		return nil
	}
	return err
}
