#!/usr/bin/env bash
# Copyright 2026 The Sidenote Authors
# SPDX-License-Identifier: Apache-2.0

# Runs the long forms of the tests for about the time that is given, in rounds:
# every round fuzzes each target, kills the process that writes a spool, and
# runs every scenario of the battery, with other random choices each time. The
# first round begins with an outage and ends with a measurement of the overhead.
# The first failure ends it all.
#
#   ./hack/soak.sh 1h
#
# A step that has begun is not cut off, so it may end some minutes later. Under
# ten minutes there is only the outage: make test has the rest in its short form.
# It leaves out the search for new inputs, because a find there would stop a
# change that has nothing to do with it.

set -o errexit -o nounset -o pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

case "${1:-}" in
*[0-9]h) seconds=$((${1%h} * 3600)) ;;
*[0-9]m) seconds=$((${1%m} * 60)) ;;
*[0-9]s) seconds=${1%s} ;;
*)
  echo 'soak: say for how long, as 90m or 1h' >&2
  exit 2
  ;;
esac

# The outage takes a sixth of the time, ten minutes at most.
outage=$((seconds / 6 < 600 ? seconds / 6 : 600))
# One round is to fit into a quarter of the time, and be no longer than needed.
fuzz=$((seconds / 360 < 60 ? (seconds / 360 > 2 ? seconds / 360 : 2) : 60))
kills=$((seconds / 6 < 2000 ? seconds / 6 : 2000))

SECONDS=0
left() { ((SECONDS < seconds)); }
step() { printf '== soak: %dm of %dm, round %d: %s\n' $((SECONDS / 60)) $((seconds / 60)) "${round}" "$1"; }

round=1
while left; do
  if ((round == 1)); then
    step "an outage of ${outage} s"
    (cd test/faults && go test -count=1 -timeout=2h -run='^TestLongOutage$' -faults.outage="${outage}s")
  fi
  if ((seconds < 600)); then
    break
  fi
  if left; then
    step "every fuzz target for ${fuzz} s"
    ./hack/fuzz.sh "${fuzz}s"
  fi
  if left; then
    step "the spool, ${kills} kills"
    go test -count=1 -timeout=2h ./internal/agent/spool -spool.kills="${kills}" -spool.rounds=3
  fi
  if left; then
    step 'the battery'
    (cd test/faults && go test -count=1 -timeout=2h -faults.rounds=2)
  fi
  if left && ((round == 1)); then
    step 'the overhead'
    go run ./test/performance -quick -cells='^http1-(1|64)KB$'
  fi
  round=$((round + 1))
done
printf '== soak: done after %dm\n' $((SECONDS / 60))
