/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// errNotUp is the status of a cluster that isn't whole.
var errNotUp = errors.New("the cluster isn't up; bring it up with: make up")

// status prints what runs of the cluster; errNotUp where something doesn't.
func status(ctx context.Context, l layout, out io.Writer) error {
	id, err := readIdentity(l)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "cluster   %s\nAPI       %s\ningress   %s\nregistry  %s\n\n", id.Name, id.apiURL(), id.ingressURL(), id.registry())
	s, err := newSettings(l, id)
	if err != nil {
		return err
	}
	whole := true
	for _, d := range daemons(s) {
		record, alive := readDaemon(l, d.name)
		if !alive {
			whole = false
			fmt.Fprintf(out, "%-25s not running\n", d.name)
			continue
		}
		fmt.Fprintf(out, "%-25s process %d\n", d.name, record.PID)
	}
	if !whole {
		return errNotUp
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	pods, err := newKubectl(l).run(ctx, "get", "nodes,pods", "--all-namespaces")
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%s", pods)
	return nil
}
