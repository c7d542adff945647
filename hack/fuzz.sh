#!/usr/bin/env bash
# Copyright 2026 The Sidenote Authors
# SPDX-License-Identifier: Apache-2.0

# Runs every fuzz target of the repository for the time that is given. What
# fails is written to the target's testdata, to be kept with the code: unit
# tests run it from then on.

set -o errexit -o nounset -o pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
time="${1:?say for how long, as 20s}"

git grep --untracked --files-with-matches '^func Fuzz' -- '*_test.go' | while read -r file; do
  sed -n 's/^func \(Fuzz[A-Za-z0-9]*\).*/\1/p' "${file}" | while read -r target; do
    echo "== ${target} in $(dirname "${file}")"
    go test "./$(dirname "${file}")" -run='^$' -fuzz="^${target}\$" -fuzztime="${time}" -fuzzminimizetime=2s
  done
done
