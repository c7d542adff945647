/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// Addresses inside the cluster's network namespace. The ranges are those for
// benchmarks (RFC 2544): nothing else of the namespace has an address, and
// nothing of the machine is reachable from it.
const (
	nodeAddress      = "198.18.0.1"
	nodePrefix       = "198.18.0.1/24"
	podRange         = "198.18.128.0/17"
	serviceRange     = "198.19.0.0/16"
	kubernetesIP     = "198.19.0.1"
	dnsIP            = "198.19.0.10"
	clusterDomain    = "cluster.local"
	nodeBridge       = "node0"
	apiPort          = 6443
	ingressPort      = 80
	innerIngressPort = 8081
)

func namespacePath(name string) string { return "/run/netns/" + name }

// networkCommands make a namespace in which a node can live: a bridge without
// ports carries the node's address (not every kernel has dummy links) and the
// default route, without which the node has no address to be known by.
func networkCommands(name string) [][]string {
	inside := func(arguments ...string) []string {
		return append([]string{"ip", "-n", name}, arguments...)
	}
	return [][]string{
		inside("link", "set", "lo", "up"),
		inside("link", "add", nodeBridge, "type", "bridge"),
		inside("address", "add", nodePrefix, "dev", nodeBridge),
		inside("link", "set", nodeBridge, "up"),
		inside("route", "add", "default", "dev", nodeBridge),
		{"nsenter", "--net=" + namespacePath(name), "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"},
	}
}

// namespaceExists says whether the name stands for a namespace: the file may
// outlive it where /run is kept over a restart of the machine.
func namespaceExists(name string) (bool, error) {
	if _, err := os.Stat(namespacePath(name)); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	mounts, err := mountPoints()
	if err != nil {
		return false, err
	}
	for _, point := range mounts {
		// /run may be reached by the name /var/run too.
		if strings.HasSuffix(point, "/netns/"+name) {
			return true, nil
		}
	}
	return false, os.Remove(namespacePath(name))
}

func makeNamespace(ctx context.Context, name string) error {
	if _, err := (command{arguments: []string{"ip", "netns", "add", name}}).run(ctx); err != nil {
		return err
	}
	for _, arguments := range networkCommands(name) {
		if _, err := (command{arguments: arguments}).run(ctx); err != nil {
			// Half a network would be taken for a whole one the next time.
			return errors.Join(err, removeNamespace(name))
		}
	}
	return nil
}

func removeNamespace(name string) error {
	exists, err := namespaceExists(name)
	if err != nil || !exists {
		return err
	}
	if _, err := (command{arguments: []string{"ip", "netns", "delete", name}}).run(context.Background()); err != nil {
		return fmt.Errorf("deleting the network namespace: %w", err)
	}
	return nil
}
