/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
)

// identity is what tells this cluster from the others of the machine. It is
// chosen once and kept, so that image names and kubeconfigs stay valid.
type identity struct {
	Checkout string `json:"checkout"`
	Name     string `json:"name"`
	// Loopback ports of the machine that lead into the cluster.
	RegistryPort int `json:"registryPort"`
	APIPort      int `json:"apiPort"`
	IngressPort  int `json:"ingressPort"`
}

func (i identity) registry() string { return fmt.Sprintf("127.0.0.1:%d", i.RegistryPort) }

// repository is where the project's and Knative's images go.
func (i identity) repository() string { return i.registry() + "/sidenote" }
func (i identity) baseImage() string  { return i.repository() + "/base:latest" }
func (i identity) pauseImage() string { return i.repository() + "/pause:latest" }
func (i identity) apiURL() string     { return fmt.Sprintf("https://127.0.0.1:%d", i.APIPort) }
func (i identity) ingressURL() string { return fmt.Sprintf("http://127.0.0.1:%d", i.IngressPort) }

// Ports are looked for below the range that Linux gives to outgoing
// connections, so that nothing takes one while the cluster is down.
const (
	firstPort = 20000
	lastPort  = 32000
)

// chooseIdentity gives a checkout its name and three ports, starting at a
// place in the range that depends on the name and skipping those not free.
func chooseIdentity(checkout string, free func(port int) bool) (identity, error) {
	id := identity{Checkout: checkout, Name: clusterName(checkout)}
	start := 0
	for _, c := range id.Name {
		start = (start*31 + int(c)) % (lastPort - firstPort)
	}
	ports := make([]int, 0, 3)
	for i := 0; i < lastPort-firstPort && len(ports) < cap(ports); i++ {
		port := firstPort + (start+i)%(lastPort-firstPort)
		if free(port) {
			ports = append(ports, port)
		}
	}
	if len(ports) < cap(ports) {
		return identity{}, fmt.Errorf("no three free loopback ports between %d and %d", firstPort, lastPort)
	}
	id.RegistryPort, id.APIPort, id.IngressPort = ports[0], ports[1], ports[2]
	return id, nil
}

func portIsFree(port int) bool {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	return listener.Close() == nil
}

// errNoCluster says that this checkout never had a cluster.
var errNoCluster = errors.New("there is no cluster of this checkout; make one with: make up")

func readIdentity(l layout) (identity, error) {
	var id identity
	data, err := os.ReadFile(l.record())
	if errors.Is(err, fs.ErrNotExist) {
		return id, errNoCluster
	}
	if err != nil {
		return id, err
	}
	if err := json.Unmarshal(data, &id); err != nil {
		return id, fmt.Errorf("%s is damaged (remove the folder %s to begin anew): %w", l.record(), l.Root, err)
	}
	if id.Checkout != l.Checkout {
		// The folder was copied or moved along with its checkout. What was
		// built is good; the cluster described is another checkout's.
		return identity{}, errNoCluster
	}
	return id, nil
}

// ensureIdentity reads the identity, or chooses and keeps one.
func ensureIdentity(l layout) (identity, error) {
	id, err := readIdentity(l)
	if !errors.Is(err, errNoCluster) {
		return id, err
	}
	if err := os.RemoveAll(l.state()); err != nil {
		return id, fmt.Errorf("removing the state of another checkout's cluster: %w", err)
	}
	if id, err = chooseIdentity(l.Checkout, portIsFree); err != nil {
		return id, err
	}
	data, err := json.MarshalIndent(id, "", "  ")
	if err != nil {
		return id, err
	}
	return id, writeFile(l.record(), append(data, '\n'), 0o644)
}

// writeFile writes a file and the folders above it, all or nothing, so that
// an interruption leaves no half of it.
func writeFile(path string, data []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	temporary := path + ".part"
	if err := os.WriteFile(temporary, data, mode); err != nil {
		return err
	}
	if err := os.Chmod(temporary, mode); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
