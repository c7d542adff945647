#!/usr/bin/env bash
# Copyright 2026 The Sidenote Authors
# SPDX-License-Identifier: Apache-2.0

# Runs the features of LoggerBinding with KServe's own controller, on the
# cluster of KUBECONFIG and KO_DOCKER_REPO, or else on a local one. Arguments go
# to go test.

set -o errexit -o nounset -o pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
source hack/environment.sh

prepare_cluster --kserve
install_sidenote
quietly ko apply --sbom=none -f samples/kserve/100-runtime.yaml
say 'Running the end-to-end suite with KServe'
go test -tags=e2e,kserve -count=1 -timeout=30m -run='^TestKServe' ./test/e2e/... "$@"
