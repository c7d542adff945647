#!/usr/bin/env bash
# Copyright 2026 The Sidenote Authors
# SPDX-License-Identifier: Apache-2.0

# From a fresh clone to two events on the screen: a cluster, Sidenote, the
# sample of samples/quickstart, a prediction, and what its subscriber got.
#
# With KUBECONFIG and KO_DOCKER_REPO set it uses that cluster, which needs
# Knative Serving and Eventing, and kubectl and ko on the PATH. Otherwise it
# makes a local one (hack/cluster). It may be run again at any time.

set -o errexit -o nounset -o pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
source hack/environment.sh

# KServe's kind has the same short name.
readonly kind=inferenceservices.serving.kubeflow.org
readonly namespace=sidenote-quickstart
readonly model=my-model
readonly path=/v1/models/my-model:predict
readonly instances='{"instances": [[1, 1], [-1, -1]]}'

# apply_sample waits for the webhook's certificate, which it makes for itself
# after its start, by trying.
apply_sample() {
  say 'Applying samples/quickstart: a Broker, two teams that subscribe, a model'
  local manifests tries=30
  manifests=$(quietly ko resolve --sbom=none -Rf samples/quickstart/)
  kubectl apply -f samples/quickstart/100-namespace.yaml
  until kubectl apply --dry-run=server -f - <<<"$manifests" >/dev/null 2>&1 || ((--tries == 0)); do
    sleep 2
  done
  kubectl apply -f - <<<"$manifests"
  kubectl -n "$namespace" wait deployment --all --for=condition=Available --timeout=180s
  kubectl -n "$namespace" wait broker --all --for=condition=Ready --timeout=180s
  kubectl -n "$namespace" wait trigger --all --for=condition=Ready --timeout=180s
  kubectl -n "$namespace" wait "$kind/$model" --for=condition=Ready --timeout=300s ||
    fail "the model is not ready: $(kubectl -n "$namespace" get "$kind" "$model" -o jsonpath='{.status.conditions[?(@.type=="Ready")].message}')"
}

forward_pid=
stop_forward() { [[ -z $forward_pid ]] || kill "$forward_pid" 2>/dev/null || true; }
trap stop_forward EXIT

# find_way sets `way` to curl's arguments for the model: through the local
# cluster's ingress, or to the URL as it stands, or, where this machine can't
# resolve or reach that, past the ingress to the Revision's own Service.
find_way() {
  local url
  url=$(kubectl -n "$namespace" get "$kind" "$model" -o jsonpath='{.status.url}')
  if [[ -n ${SIDENOTE_INGRESS:-} ]]; then
    way=(-H "Host: ${url#*://}" "$SIDENOTE_INGRESS$path")
    return
  fi
  way=("$url$path")
  if curl -sf -o /dev/null --max-time 30 -d "$instances" "${way[@]}"; then
    return
  fi
  echo "$url can't be reached from here; forwarding a port instead. (To go through the"
  echo "ingress, set SIDENOTE_INGRESS to its address, as http://127.0.0.1:8080.)"
  local revision port=8081
  revision=$(kubectl -n "$namespace" get "$kind" "$model" -o jsonpath='{.status.components.predictor.latestReadyRevision}')
  kubectl -n "$namespace" wait pod -l "serving.knative.dev/revision=$revision" --for=condition=Ready --timeout=1s >/dev/null ||
    fail "the model is scaled to zero, and this can't wake it: set SIDENOTE_INGRESS, or delete the InferenceService and try again"
  kubectl -n "$namespace" port-forward "service/$revision-private" "$port:80" >/dev/null &
  forward_pid=$!
  way=("http://127.0.0.1:$port$path")
}

# predict tries again for a while: an ingress may answer 404 for a moment
# after Ready, until it has heard of the model.
predict() {
  curl -sSf --max-time 60 --retry 10 --retry-delay 1 --retry-all-errors \
    -H 'Content-Type: application/json' -d "$instances" "${way[@]}"
}

events_since() { kubectl -n "$namespace" logs "deployment/$1" --since-time="$2"; }

# show_events predicts until both events are there: a Trigger that says Ready
# still loses events for some seconds, until its Broker has heard of it.
show_events() {
  say "A prediction: POST $instances"
  local since answer events
  for _ in {1..20}; do
    sleep 1 # --since-time counts in seconds
    since=$(date -u +%Y-%m-%dT%H:%M:%SZ)
    answer=$(predict) || fail "the prediction failed: see kubectl -n $namespace describe $kind $model"
    for _ in {1..3}; do
      sleep 1
      events=$(events_since ai-platform "$since")
      if (($(grep -c '"specversion"' <<<"$events" || true) >= 2)); then
        echo "$answer"
        say 'The events, as the subscriber behind the Trigger team=ai-platform got them'
        echo "$events"
        say 'What the subscriber behind the Trigger team=fraud-detection got'
        events=$(events_since fraud-detection "$since")
        echo "${events:-(nothing)}"
        return
      fi
    done
  done
  fail "no events came: see kubectl -n $namespace describe $kind $model"
}

show_next() {
  say 'Try next'
  own_cluster || echo '  eval "$(go -C hack/cluster run . env)"'
  cat <<EOF
  kubectl -n $namespace get $kind
  kubectl -n $namespace logs -f deployment/fraud-detection &
  kubectl -n $namespace annotate $kind $model team=fraud-detection --overwrite
  kubectl -n $namespace get revisions   # the changed annotation rolls a second one
EOF
  if [[ -n $forward_pid ]]; then
    cat <<EOF
  revision=\$(kubectl -n $namespace get $kind $model -o jsonpath='{.status.components.predictor.latestReadyRevision}')
  kubectl -n $namespace port-forward "service/\$revision-private" 8082:80 &
EOF
    way=("http://127.0.0.1:8082$path")
  fi
  cat <<EOF
  curl -H 'Content-Type: application/json' -d '$instances' $(printf '%q ' "${way[@]}")
EOF
  own_cluster || echo '  go -C hack/cluster run . down'
}

prepare_cluster
install_sidenote
apply_sample
find_way
show_events
show_next
