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
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// down ends the cluster and removes its state. What was built, the images and
// the logs stay.
func down(l layout) error {
	id, err := readIdentity(l)
	if errors.Is(err, errNoCluster) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := endProcesses(l, id); err != nil {
		return err
	}
	if err := unmountBelow(l.Root); err != nil {
		return err
	}
	return errors.Join(
		removeNamespace(id.Name),
		removeCgroups(id.Name),
		removeStrays(l, id),
		os.RemoveAll(l.state()),
	)
}

// endProcesses ends the daemons by the ids noted at their start, and the pods.
func endProcesses(l layout, id identity) error {
	names, err := daemonNames(l)
	if err != nil {
		return err
	}
	var first, last []processID
	for _, name := range names {
		record, alive := readDaemon(l, name)
		switch {
		case !alive:
		// These would start again what ends.
		case name == "kubelet" || name == "containerd":
			first = append(first, record.processID)
		default:
			last = append(last, record.processID)
		}
	}
	if err := end(first, 5*time.Second); err != nil {
		return err
	}
	if err := endPods(l, id); err != nil {
		return err
	}
	if err := end(last, 5*time.Second); err != nil {
		return err
	}
	// One started just before an interruption may not have been noted.
	inside, err := namespaceProcesses(id.Name)
	if err != nil {
		return err
	}
	return end(identify(inside), 5*time.Second)
}

// endPods ends the shims of the cluster's containerd with all below them, and
// what else is in the cluster's cgroup.
func endPods(l layout, id identity) error {
	for range 5 {
		parents, arguments := processTable()
		pids := descendants(shimsOf(l.containerdSocket(), arguments), parents)
		inCgroup, err := cgroupProcesses(id.Name)
		if err != nil {
			return err
		}
		for _, pid := range inCgroup {
			if !slices.Contains(pids, pid) {
				pids = append(pids, pid)
			}
		}
		processes := identify(pids)
		if len(processes) == 0 {
			return nil
		}
		if err := end(processes, 0); err != nil {
			return err
		}
	}
	return errors.New("pods start faster than they can be ended")
}

// namespaceProcesses lists the processes in the cluster's network namespace.
func namespaceProcesses(name string) ([]int, error) {
	exists, err := namespaceExists(name)
	if err != nil || !exists {
		return nil, err
	}
	out, err := command{arguments: []string{"ip", "netns", "pids", name}}.run(context.Background())
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, field := range strings.Fields(out) {
		if pid, err := strconv.Atoi(field); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// removeStrays removes the few files that the kubelet, containerd and its CNI
// library put elsewhere, whatever they are told.
func removeStrays(l layout, id identity) error {
	var strays []string
	// Sockets of shims that were killed: each is named in its container's
	// folder.
	addresses, err := filepath.Glob(l.data("containerd-state/io.containerd.runtime.v2.task/*/*/address"))
	if err != nil {
		return err
	}
	for _, path := range addresses {
		if data, err := os.ReadFile(path); err == nil {
			if socket, ok := strings.CutPrefix(strings.TrimSpace(string(data)), "unix://"); ok {
				strays = append(strays, socket)
			}
		}
	}
	// The kubelet's links to its pods' logs.
	links, err := filepath.Glob("/var/log/containers/*.log")
	if err != nil {
		return err
	}
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, l.Root+"/") {
			strays = append(strays, link)
		}
	}
	// Results of CNI by the name of the network, which is the cluster's.
	results, err := filepath.Glob("/var/lib/cni/results/" + id.Name + "-*")
	if err != nil {
		return err
	}
	strays = append(strays, results...)
	var failures []error
	for _, path := range strays {
		if err := ignoreMissing(os.Remove(path)); err != nil {
			failures = append(failures, fmt.Errorf("removing a left-over: %w", err))
		}
	}
	return errors.Join(failures...)
}
