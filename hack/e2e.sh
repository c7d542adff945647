#!/usr/bin/env bash
# Copyright 2026 The Sidenote Authors
# SPDX-License-Identifier: Apache-2.0

# Runs the end-to-end suite on the cluster of KUBECONFIG and KO_DOCKER_REPO, or
# else on a local one. Arguments go to go test.

set -o errexit -o nounset -o pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
source hack/environment.sh

prepare_cluster
install_sidenote
say 'Running the end-to-end suite'
go test -tags=e2e -count=1 -timeout=30m ./test/e2e/... "$@"
