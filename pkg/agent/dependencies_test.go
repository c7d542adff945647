/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"testing"

	"knative.dev/pkg/depcheck"
)

// TestTheAgentStaysLight: it sits in front of every model, and has no business
// with the Kubernetes API.
func TestTheAgentStaysLight(t *testing.T) {
	const main = "github.com/sidenote-dev/sidenote/cmd/agent"
	if err := depcheck.CheckNoDependency(main, []string{
		"k8s.io/api/core/v1",
		"k8s.io/apimachinery/pkg/apis/meta/v1",
		"k8s.io/apimachinery/pkg/types",
		"k8s.io/client-go/kubernetes",
		"k8s.io/client-go/rest",
		"knative.dev/pkg/injection",
		"knative.dev/serving/pkg/queue",
		"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1",
		"golang.org/x/net/http2/h2c",
	}); err != nil {
		t.Error(err)
	}
}
