#!/usr/bin/env bash
# Copyright 2026 The Sidenote Authors
# SPDX-License-Identifier: Apache-2.0

# Runs every fuzz target of the repository for the time that is given. An input
# that fails is written to the target's testdata, to be kept with the code: unit
# tests run it from then on.

set -o errexit -o nounset -o pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
time="${1:?say for how long, as 20s}"

# On a busy machine go test may call its own end of the time a failure, without
# an input that fails.
try() {
  local output
  if ! output="$(go test "$1" -run='^$' -fuzz="^$2\$" -fuzztime="${time}" -fuzzminimizetime=2s 2>&1)"; then
    printf '%s\n' "${output}" >&2
    [[ "${output}" == *'context deadline exceeded'* && "${output}" != *'Failing input written'* ]] || return 1
  fi
  # In a short time a large corpus may leave none for further inputs.
  { grep 'execs:' <<<"${output}" || echo 'fuzz: the corpus took all the time'; } | tail -n 1
}

git grep --untracked --files-with-matches '^func Fuzz' -- '*_test.go' | while read -r file; do
  sed -n 's/^func \(Fuzz[A-Za-z0-9]*\).*/\1/p' "${file}" | while read -r target; do
    echo "== ${target} in $(dirname "${file}")"
    try "./$(dirname "${file}")" "${target}"
  done
done
