/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// leastProcs is how many threads run Go code at once in an agent without a CPU
// limit, at least: as many as the Go runtime takes with a limit. Without a bound
// it would be the number of the node's CPUs, and the memory and the CPU time of
// an agent would depend on the node. The Go runtime keeps a cache for each, wakes
// idle ones to look for work, and has all idle ones collect garbage. Four cost
// between 7 and 49 % more CPU time than two. One alone costs about a tenth less
// still, but then an event that is decoded for some milliseconds holds up the
// exchanges (docs/performance.md).
const leastProcs = 2

// agentSettingsOf returns the settings of a service's agent: those in use, with
// the resources that the service sets. Resources that validation refuses count
// for nothing, for an object that no webhook saw may have them.
func agentSettingsOf(logger *v1beta1.LoggerSpec, applied Applied) (settings *config.Agent, ignored error) {
	settings, errs := applied.Agent.WithResources(logger.Resources)
	if errs != nil {
		return &applied.Agent, errs
	}
	return settings, nil
}

func agentEnvironment(settings *config.Agent) []corev1.EnvVar {
	environment := []corev1.EnvVar{{Name: "GOMEMLIMIT", Value: settings.GoMemoryLimit}}
	if _, limited := settings.Resources.Limits[corev1.ResourceCPU]; !limited {
		// With a limit the Go runtime takes the number from there.
		procs := max(leastProcs, settings.Resources.Requests.Cpu().Value())
		environment = append(environment, corev1.EnvVar{Name: "GOMAXPROCS", Value: strconv.FormatInt(procs, 10)})
	}
	return environment
}
