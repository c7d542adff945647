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
	"os/signal"
	"strconv"
	"strings"
	"syscall"
)

const usage = `Usage: go -C hack/cluster run . COMMAND

  up              bring the cluster up, or what of it isn't
  up --kserve     the same, with KServe on top of Knative
  build           build Kubernetes' programs and start nothing; needs no root
  down            end it and drop its state; what was built stays
  down --purge    and remove the folder .cluster too
  status          say what runs
  env             print what a shell has to know: eval "$(go -C hack/cluster run . env)"
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
	folder, err := os.Getwd()
	if err != nil {
		return err
	}
	checkout, err := findCheckout(folder)
	if err != nil {
		return err
	}
	l := newLayout(checkout)
	switch strings.Join(arguments, " ") {
	case "up":
		return locked(l, func() error { return upAndSay(ctx, l, knative) })
	case "up --kserve":
		return locked(l, func() error { return upAndSay(ctx, l, knative, kserve) })
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

// upAndSay brings the cluster up and prints how to use it.
func upAndSay(ctx context.Context, l layout, platforms ...platform) error {
	s, err := up(ctx, l, os.Stderr, platforms...)
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted; another up goes on from here")
	case err != nil:
		return err
	}
	fmt.Printf("\nThe cluster is up. To use it from this shell:\n\n%s\nor: eval \"$(go -C hack/cluster run . env)\"\n", exports(s, ""))
	return nil
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
