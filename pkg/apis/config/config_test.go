/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// shipped reads a ConfigMap as it is installed, with the options of its
// example as its data where those are asked for.
func shipped(t *testing.T, name string, example bool) *corev1.ConfigMap {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "..", "config", "400-"+name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var configMap corev1.ConfigMap
	if err := yaml.UnmarshalStrict(content, &configMap); err != nil {
		t.Fatal(err)
	}
	if example {
		text := configMap.Data["_example"]
		configMap.Data = nil
		if err := yaml.UnmarshalStrict([]byte(text), &configMap.Data); err != nil {
			t.Fatalf("the example of %s is not a map of strings: %v", name, err)
		}
	}
	return &configMap
}

func TestShippedConfigMapsSayTheDefaults(t *testing.T) {
	logger, err := NewLoggerFromConfigMap(shipped(t, LoggerConfigName, false))
	if err != nil {
		t.Fatal(err)
	}
	example, err := NewLoggerFromConfigMap(shipped(t, LoggerConfigName, true))
	if err != nil {
		t.Fatal(err)
	}
	for what, got := range map[string]*Logger{"shipped": logger, "example": example} {
		if diff := cmp.Diff(defaultLogger(), got); diff != "" {
			t.Errorf("%s %s (-default, +got): %s", what, LoggerConfigName, diff)
		}
	}

	agent, err := NewAgentFromConfigMap(shipped(t, AgentConfigName, false))
	if err != nil {
		t.Fatal(err)
	}
	agentExample, err := NewAgentFromConfigMap(shipped(t, AgentConfigName, true))
	if err != nil {
		t.Fatal(err)
	}
	for what, got := range map[string]*Agent{"shipped": agent, "example": agentExample} {
		want := defaultAgent()
		want.Image = got.Image
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s %s (-default, +got): %s", what, AgentConfigName, diff)
		}
	}
}

func TestUnreadableConfigMapsAreRefused(t *testing.T) {
	for what, test := range map[string]struct {
		data map[string]string
		want string
	}{
		"no image":                   {map[string]string{}, "image"},
		"a limit that Go can't read": {map[string]string{"image": "a", "gomemlimit": "96Mi"}, "gomemlimit"},
		"no number":                  {map[string]string{"image": "a", "buffer-bytes": "many"}, "buffer-bytes"},
		"no payload":                 {map[string]string{"image": "a", "max-payload-bytes": "0"}, "max-payload-bytes"},
		"a buffer below a body":      {map[string]string{"image": "a", "buffer-bytes": "10"}, "buffer-bytes"},
		"a request over a limit":     {map[string]string{"image": "a", "memory-request": "1Gi"}, "memory-request"},
		"no quantity":                {map[string]string{"image": "a", "cpu-limit": "much"}, "cpu-limit"},
	} {
		_, err := NewAgentFromConfigMap(&corev1.ConfigMap{Data: test.data})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want an error that names %s", what, err, test.want)
		}
	}
	for what, sink := range map[string]string{
		"not YAML":           ":",
		"nothing":            "",
		"an unknown field":   "broker: default",
		"half a ref":         "ref: {kind: Broker}",
		"a relative uri":     "uri: /path",
		"a uri with no host": "uri: 'http:///path'",
	} {
		_, err := NewLoggerFromConfigMap(&corev1.ConfigMap{Data: map[string]string{"default-sink": sink}})
		if err == nil || !strings.Contains(err.Error(), "default-sink") {
			t.Errorf("a default sink that is %s: got %v, want an error that names default-sink", what, err)
		}
	}
}
