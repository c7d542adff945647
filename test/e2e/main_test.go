//go:build e2e

/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package e2e runs Sidenote's features on the cluster of KUBECONFIG, which
// has Knative Serving and Eventing and Sidenote itself. Images are built by
// the ko on the PATH, unless -images.producer.file names them.
package e2e

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"knative.dev/reconciler-test/pkg/environment"
	"knative.dev/reconciler-test/pkg/k8s"
	"knative.dev/reconciler-test/pkg/knative"

	"github.com/sidenote-dev/sidenote/test/e2e/features"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/inferenceservice"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/tlsfront"
)

// pollInterval and pollTimeout hold for every wait. The longest of them is for
// the kubelet to pass a changed ConfigMap on.
const (
	pollInterval = 500 * time.Millisecond
	pollTimeout  = 4 * time.Minute
)

var global environment.GlobalEnvironment

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	// reconciler-test leaves every manifest that it applies behind.
	temporary, err := os.MkdirTemp("", "sidenote-e2e-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(temporary)
	if err := os.Setenv("TMPDIR", temporary); err != nil {
		panic(err)
	}
	// A feature waits for the cluster, not for a core of this machine, and each
	// of its steps counts as a test.
	if err := flag.Set("test.parallel", strconv.Itoa(8*runtime.GOMAXPROCS(0))); err != nil {
		panic(err)
	}
	global = environment.NewStandardGlobalEnvironment()
	return m.Run()
}

// newEnvironment makes a namespace for a test, and the images. The namespace is
// deleted when the test succeeds, and kept for a look otherwise.
func newEnvironment(t *testing.T) (context.Context, environment.Environment) {
	options := []environment.EnvOpts{
		environment.WithTestLogger(t),
		environment.WithPollTimings(pollInterval, pollTimeout),
		environment.RegisterPackage("knative.dev/reconciler-test/cmd/eventshub",
			inferenceservice.ModelPackage, inferenceservice.TransformerPackage, tlsfront.Package, features.CrashPackage),
		knative.WithKnativeNamespace("knative-eventing"),
		knative.WithLoggingConfig,
		knative.WithObservabilityConfig,
		k8s.WithEventListener,
	}
	if flag.Lookup("images.producer.file").Value.String() == "" {
		options = append(options, environment.WithImageProducer(buildImage))
	}
	ctx, env := global.Environment(options...)
	t.Cleanup(func() {
		k8s.EventListenerFromContext(ctx).Stop()
		if err := env.(*environment.MagicEnvironment).DeleteNamespaceIfNeeded(t); err != nil {
			t.Errorf("deleting the namespace %s: %v", env.Namespace(), err)
		}
	})
	return ctx, env
}

// buildImage builds and pushes a main package by the ko that is pinned here,
// where reconciler-test's own producer fetches another one.
func buildImage(ctx context.Context, pack string) (string, error) {
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(ctx, "ko", "build", "--sbom=none", "-B", pack)
	command.Dir = "../.."
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("building %s by ko: %w: %s", pack, err, stderr.String())
	}
	return strings.TrimSpace(stdout.String()), nil
}
