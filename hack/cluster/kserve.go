/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

// kserve is KServe's controller for InferenceServices in its serverless mode, on
// top of Knative. It has no serving runtimes and no storage initializer: their
// images would come from a registry.
var kserve = platform{
	name:          "kserve",
	title:         "KServe",
	hint:          "about 3 min the first time",
	prerequisites: "kserve-namespace",
	distributions: []distribution{
		{name: "kserve", namespace: "kserve", sources: []source{
			{module: kserveModule, folder: "config/crd/minimal", without: []string{"llmisvc", "localmodel"}},
			{module: kserveModule, folder: "config/rbac", without: []string{
				"llmisvc", "localmodel", "localmodelnode",
				// For a proxy in front of the metrics.
				"auth_proxy_role.yaml", "auth_proxy_role_binding.yaml", "auth_proxy_service.yaml",
			}},
			{module: kserveModule, folder: "config/configmap"},
			{module: kserveModule, folder: "config/manager", without: []string{"service.yaml"}},
			{module: kserveModule, folder: "config/webhook", without: []string{"llmisvc", "localmodel"}},
		}},
	},
	probes: `
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: probe, namespace: default}
spec: {predictor: {containers: [{image: example.com/probe}]}}
`,
}

const kserveModule = "github.com/kserve/kserve"
