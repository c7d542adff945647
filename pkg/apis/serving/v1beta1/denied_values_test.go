/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	"strings"
	"testing"

	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// The default list holds where there is no configuration.
func TestADeniedValueIsRefusedAndNeverQuoted(t *testing.T) {
	const secret = "AKIAIOSFODNN7" + "EXAMPLE"
	logger := &LoggerSpec{MetadataAnnotations: []string{"team", "owner"}}
	annotations := map[string]string{"team": "the key is " + secret, "owner": "ml-ops"}
	err := logger.validateMetadata(t.Context(), "spec.predictor.logger", metadata.Object{Annotations: annotations})
	if err == nil {
		t.Fatal("it is admitted")
	}
	for _, want := range []string{`the value of annotation "team" must not be sent`, "metadata.annotations[team]", "spec.predictor.logger.metadataAnnotations[0]", "denied-values"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q doesn't say %q", err.Error(), want)
		}
	}
	if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "owner") {
		t.Errorf("it says %q", err.Error())
	}

	denied, parseErr := metadata.ParseDeniedValues([]string{"^ml-"})
	if parseErr != nil {
		t.Fatal(parseErr)
	}
	cluster := *config.FromContextOrDefaults(t.Context())
	own := *cluster.Logger
	own.DeniedValues = denied
	cluster.Logger = &own
	err = logger.validateMetadata(config.ToContext(t.Context(), &cluster), "spec.predictor.logger", metadata.Object{Annotations: annotations})
	if err == nil || !strings.Contains(err.Error(), `"owner"`) || strings.Contains(err.Error(), `"team"`) {
		t.Errorf("under the cluster's own list: %v", err)
	}
}

// An error about a fixed value names the attribute.
func TestADeniedFixedValueIsNamedByItsAttribute(t *testing.T) {
	logger := &LoggerSpec{Metadata: []MetadataSource{{Attribute: "key", Value: "AKIAIOSFODNN7" + "EXAMPLE"}}}
	err := logger.validateMetadata(t.Context(), "spec.predictor.logger", metadata.Object{})
	if err == nil || !strings.Contains(err.Error(), `the value of attribute "key" must not be sent: spec.predictor.logger.metadata[0]`) {
		t.Errorf("the error is %v", err)
	}
}
