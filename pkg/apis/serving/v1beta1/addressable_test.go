/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import "testing"

func TestOnlyAddressableKindsAreSinks(t *testing.T) {
	for apiVersion, kinds := range map[string]map[string]bool{
		"v1":                           {"Service": true, "ConfigMap": false, "configmap": false, "Secret": false, "Pod": false, "service": false, "Namespace": false, "": false},
		"v2":                           {"Service": false},
		"":                             {"ConfigMap": false},
		"a/b/c":                        {"Broker": false},
		"eventing.knative.dev/v1":      {"Broker": true},
		"serving.knative.dev/v1":       {"Service": true},
		"serving.kubeflow.org/v1beta1": {"InferenceService": true},
		"example.com/v1":               {"Mailbox": true},
	} {
		for kind, addressable := range kinds {
			destination := refTo(apiVersion, kind, "models", "a")
			if err := ValidateAddressable(destination.Ref); (err == nil) != addressable {
				t.Errorf("%s of %q: %v, want addressable: %v", kind, apiVersion, err, addressable)
			}
		}
	}
	if err := ValidateAddressable(nil); err != nil {
		t.Errorf("without a ref: %v", err)
	}
}
