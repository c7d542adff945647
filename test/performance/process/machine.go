/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package process

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Build builds a package of the module in a folder as it ships: stripped and
// without C.
func Build(ctx context.Context, to, folder, of string) error {
	command := exec.CommandContext(ctx, "go", "-C", folder, "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", to, of)
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	// Interrupted, it ends its compilers.
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", filepath.Join(folder, of), err, output)
	}
	return nil
}

// FreeAddresses returns loopback addresses on which nobody listens.
func FreeAddresses(count int) ([]string, error) {
	addresses := make([]string, 0, count)
	for range count {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("looking for a port: %w", err)
		}
		// All are held until the last one is found, so that they differ.
		defer listener.Close()
		addresses = append(addresses, listener.Addr().String())
	}
	return addresses, nil
}

// LoadAverage is the machine's, of 1, 5 and 15 minutes.
func LoadAverage() string {
	content, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(content))[:3], " ")
}
