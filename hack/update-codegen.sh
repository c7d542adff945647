#!/usr/bin/env bash
# Copyright 2026 The Sidenote Authors
# SPDX-License-Identifier: Apache-2.0

# Writes everything that is generated, with the tools that go.mod pins. Needs
# nothing but Go.

set -o errexit -o nounset -o pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly module="github.com/sidenote-dev/sidenote"
readonly header="$PWD/hack/boilerplate/boilerplate.go.txt"
readonly serving="${module}/pkg/apis/serving/v1beta1" bindings="${module}/pkg/apis/bindings/v1alpha1"
export CGO_ENABLED=0 GOFLAGS="-trimpath -buildvcs=false"

echo "deep copies"
go tool deepcopy-gen --go-header-file "${header}" --output-file zz_generated.deepcopy.go "${serving}" "${bindings}"

echo "clients, listers, informers"
rm -rf "pkg/client"
go tool client-gen --go-header-file "${header}" --clientset-name versioned --input-base "" \
  --input "${serving},${bindings}" --output-pkg "${module}/pkg/client/clientset" --output-dir "pkg/client/clientset"
go tool lister-gen --go-header-file "${header}" \
  --output-pkg "${module}/pkg/client/listers" --output-dir "pkg/client/listers" "${serving}" "${bindings}"
go tool informer-gen --go-header-file "${header}" \
  --versioned-clientset-package "${module}/pkg/client/clientset/versioned" --listers-package "${module}/pkg/client/listers" \
  --output-pkg "${module}/pkg/client/informers" --output-dir "pkg/client/informers" "${serving}" "${bindings}"

echo "injection"
go tool injection-gen --go-header-file "${header}" --input-dirs "${serving},${bindings}" \
  --versioned-clientset-package "${module}/pkg/client/clientset/versioned" \
  --external-versions-informers-package "${module}/pkg/client/informers/externalversions" \
  --listers-package "${module}/pkg/client/listers" \
  --output-package "${module}/pkg/client/injection" --output-dir "pkg/client/injection"

echo "custom resource definitions"
go tool controller-gen crd:generateEmbeddedObjectMeta=false paths=./pkg/apis/serving/v1beta1 output:crd:stdout |
  go run ./hack/schema >"config/300-inferenceservice.yaml"
go tool controller-gen crd:generateEmbeddedObjectMeta=false paths=./pkg/apis/bindings/v1alpha1 output:crd:stdout |
  go run ./hack/schema >"config/300-loggerbinding.yaml"

echo "reference"
go run ./hack/reference

echo "checksums of the ConfigMaps' examples"
go tool hash-gen config/400-config-*.yaml

echo "Open Inference Protocol of the test model"
go -C test/openinference/generate run . ..
