/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package config

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"knative.dev/pkg/apis"
)

// ownResources are the resources that one service may set for its agent.
var ownResources = []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage}

// maxMemoryLimit is a bound against typing errors.
var maxMemoryLimit = resource.MustParse("1Ti")

// WithResources returns the settings of an agent whose service sets resources of
// its own. Each quantity replaces the cluster's one of the same name. A memory
// limit gives GOMEMLIMIT and the buffer as it does for the cluster, and a
// request that the service doesn't set is lowered to the limit. The receiver
// stays as it is. An error names the field below the resources.
func (a *Agent) WithResources(own *corev1.ResourceRequirements) (*Agent, *apis.FieldError) {
	if own == nil {
		return a, nil
	}
	if errs := validateOwn(own); errs != nil {
		return nil, errs
	}
	agent := *a
	agent.Resources = *a.Resources.DeepCopy()
	agent.Resources.Requests = merged(agent.Resources.Requests, own.Requests)
	agent.Resources.Limits = merged(agent.Resources.Limits, own.Limits)
	for _, name := range ownResources {
		limit, limited := agent.Resources.Limits[name]
		request, requested := agent.Resources.Requests[name]
		if !limited || !requested || request.Cmp(limit) <= 0 {
			continue
		}
		if _, isOwn := own.Requests[name]; isOwn {
			return nil, apis.ErrInvalidValue(request.String(), "requests."+string(name),
				fmt.Sprintf("it is more than the limit %s: write at most that, or a higher limit in limits.%s", limit.String(), name))
		}
		agent.Resources.Requests[name] = limit
	}
	limit, limited := own.Limits[corev1.ResourceMemory]
	if !limited {
		return &agent, nil
	}
	const field = "limits.memory"
	if err := agent.complete(true, false, false, false); err != nil {
		return nil, apis.ErrInvalidValue(limit.String(), field, err.Error())
	}
	if most := agent.MostPayloadBytes(); agent.MaxPayloadBytes > most {
		return nil, apis.ErrInvalidValue(limit.String(), field,
			fmt.Sprintf("an agent with this limit accepts bodies of at most %d bytes, and max-payload-bytes of %s is %d: write at least %s",
				most, AgentConfigName, agent.MaxPayloadBytes, quantity(limitFor(3*2*agent.MaxPayloadBytes))))
	}
	return &agent, nil
}

func validateOwn(own *corev1.ResourceRequirements) (errs *apis.FieldError) {
	if len(own.Claims) > 0 {
		errs = errs.Also(apis.ErrDisallowedFields("claims"))
	}
	for _, list := range []struct {
		field     string
		resources corev1.ResourceList
	}{{"requests", own.Requests}, {"limits", own.Limits}} {
		for _, name := range slices.Sorted(maps.Keys(list.resources)) {
			quantity := list.resources[name]
			field := fmt.Sprintf("%s.%s", list.field, name)
			switch {
			case !slices.Contains(ownResources, name):
				errs = errs.Also(&apis.FieldError{
					Message: "not a resource of the agent",
					Paths:   []string{field},
					Details: "write cpu, memory or ephemeral-storage: set the model's resources in its own container",
				})
			case quantity.Sign() <= 0:
				errs = errs.Also(apis.ErrInvalidValue(quantity.String(), field, "write more than 0, or leave it out"))
			case name == corev1.ResourceMemory && quantity.Cmp(maxMemoryLimit) > 0:
				errs = errs.Also(apis.ErrInvalidValue(quantity.String(), field, "write at most "+maxMemoryLimit.String()))
			}
		}
	}
	if limit, limited := own.Limits[corev1.ResourceMemory]; limited && limit.Sign() > 0 && limit.Value() < minMemoryLimit {
		errs = errs.Also(apis.ErrInvalidValue(limit.String(), "limits.memory", "write at least "+quantity(minMemoryLimit)))
	}
	return errs
}

func merged(cluster, own corev1.ResourceList) corev1.ResourceList {
	list := make(corev1.ResourceList, len(cluster)+len(own))
	maps.Copy(list, cluster)
	maps.Copy(list, own)
	return list
}
