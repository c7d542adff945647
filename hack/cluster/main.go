/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Command cluster runs a Kubernetes with Knative on a bare Linux machine: no
// Docker, no virtual machine, no image registry is needed, only root, a few
// Debian packages and Go modules. Everything runs inside a network namespace
// and below the folder .cluster of the checkout.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const usage = `Usage: go run ./hack/cluster COMMAND

  up              bring the cluster up, or what of it isn't
  build           build Kubernetes' programs and start nothing; needs no root
  down            end it and drop its state; what was built stays
  down --purge    and remove the folder .cluster too
  status          say what runs
  env             print what a shell has to know: eval "$(go run ./hack/cluster env)"
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string) error {
	if len(arguments) > 2 && arguments[0] == "resident" {
		return reside(arguments[1], arguments[2:])
	}
	if err := keepDescriptors(); err != nil {
		return err
	}
	checkout, err := findCheckout()
	if err != nil {
		return err
	}
	l := newLayout(checkout)
	switch strings.Join(arguments, " ") {
	case "up":
		return locked(l, func() error {
			s, err := up(ctx, l, os.Stderr)
			switch {
			case ctx.Err() != nil:
				return errors.New("interrupted; another up goes on from here")
			case err != nil:
				return err
			}
			fmt.Printf("\nThe cluster is up. To use it from this shell:\n\n%s\nor: eval \"$(go run ./hack/cluster env)\"\n", exports(s, ""))
			return nil
		})
	case "build":
		return locked(l, func() error { return kubernetes.run(ctx, newProgress(os.Stderr), l) })
	case "down":
		return locked(l, func() error { return down(l) })
	case "down --purge", "clean":
		return locked(l, func() error { return errors.Join(down(l), os.RemoveAll(l.Root)) })
	case "status":
		return status(ctx, l, os.Stdout)
	case "env":
		id, err := readIdentity(l)
		if err != nil {
			return err
		}
		fmt.Print(exports(settings{layout: l, identity: id}, os.Getenv("PATH")))
		return nil
	default:
		fmt.Fprint(os.Stderr, usage)
		return errors.New("no such command: " + strconv.Quote(strings.Join(arguments, " ")))
	}
}

func locked(l layout, work func() error) error {
	release, err := lockCluster(l, func() {
		fmt.Fprintln(os.Stderr, "waiting for another up or down of this checkout to end")
	})
	if err != nil {
		return err
	}
	defer release()
	return work()
}

// findCheckout is the root module's folder, by its real path: that of the
// folder that this is run in.
func findCheckout() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", errors.New("run this within the checkout: there is no go.mod here or above")
	}
	checkout, err := filepath.EvalSymlinks(strings.TrimSpace(string(out)))
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(checkout, "hack", "cluster")); err != nil {
		return "", errors.New("run this within the checkout of Sidenote")
	}
	return checkout, nil
}
