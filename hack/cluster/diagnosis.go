/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// diagnose prints what a person would look up first when the cluster doesn't
// become ready: daemons that ended, pods that aren't ready, warnings, and the
// kubelet's last words.
func diagnose(l layout, out io.Writer) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	names, err := daemonNames(l)
	if err != nil {
		fmt.Fprintln(out, err)
	}
	for _, name := range names {
		if _, alive := readDaemon(l, name); !alive {
			fmt.Fprintf(out, "%s isn't running; its log %s ends with\n%s\n", name, l.log(name), lastLinesOfFile(l.log(name), tailLines))
		}
	}
	k := newKubectl(l)
	if pods, err := k.run(ctx, "get", "pods", "--all-namespaces", "--no-headers", "--request-timeout=5s"); err == nil {
		if lines := unready(pods); len(lines) > 0 {
			fmt.Fprintf(out, "pods that aren't ready:\n    %s\n", strings.Join(lines, "\n    "))
		}
	}
	if warnings, err := k.run(ctx, "get", "events", "--all-namespaces", "--field-selector=type=Warning",
		"--sort-by=.lastTimestamp", "--no-headers", "--request-timeout=5s"); err == nil && warnings != "" {
		fmt.Fprintf(out, "the last warnings:\n%s\n", lastLines(warnings, 10))
	}
	if _, alive := readDaemon(l, "kubelet"); alive {
		fmt.Fprintf(out, "the kubelet's log %s ends with\n%s\n", l.log("kubelet"), lastLinesOfFile(l.log("kubelet"), 10))
	}
}

// unready picks, from kubectl get pods over all namespaces, the lines of pods
// that should be ready and aren't.
func unready(pods string) []string {
	var lines []string
	for line := range strings.Lines(pods) {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[3] == "Completed" {
			continue
		}
		if ready, all, ok := strings.Cut(fields[2], "/"); !ok || ready != all {
			lines = append(lines, strings.TrimRight(line, "\n"))
		}
	}
	return lines
}
