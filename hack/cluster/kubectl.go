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

// kubectl is how the cluster is spoken to, as its users do.
type kubectl struct {
	program    string
	kubeconfig string
	stdin      io.Reader
}

func newKubectl(l layout) kubectl {
	return kubectl{program: l.bin("kubectl"), kubeconfig: l.kubeconfig("admin")}
}

func (k kubectl) with(stdin io.Reader) kubectl {
	k.stdin = stdin
	return k
}

func (k kubectl) run(ctx context.Context, arguments ...string) (string, error) {
	return command{
		stdin:     k.stdin,
		arguments: append([]string{k.program, "--kubeconfig=" + k.kubeconfig}, arguments...),
	}.run(ctx)
}

// apply applies a manifest on the server's side: Knative's definitions are too
// large for the annotation of the client's.
func (k kubectl) apply(ctx context.Context, manifest string) error {
	_, err := k.with(strings.NewReader(manifest)).run(ctx,
		"apply", "--server-side", "--force-conflicts", "--field-manager=sidenote-local-cluster", "--filename=-")
	return err
}

// wait is kubectl wait with a limit.
func (k kubectl) wait(ctx context.Context, limit time.Duration, arguments ...string) error {
	_, err := k.run(ctx, append([]string{"wait", fmt.Sprintf("--timeout=%ds", int(limit.Seconds()))}, arguments...)...)
	return err
}
