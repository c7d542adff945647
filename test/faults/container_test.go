/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/sidenote-dev/sidenote/pkg/apis/config"
)

const megabyte = 1 << 20

// TestOverloadInContainer (P6, P7): bodies of a megabyte at five times the
// knee, while the sink is there, refuses and hangs. The agent, with the memory
// that it ships with, stays under its container's limit, and no client notices.
//
// It fills the machine, so nothing runs beside it.
func TestOverloadInContainer(t *testing.T) {
	shipped := asShipped(t)
	limit := shipped.Resources.Limits.Memory().Value()
	large := []sort{sized(megabyte, megabyte), overHTTP2(sized(megabyte, megabyte))}
	knee := newRig(t, contained(newMemoryGroup(t, limit), shipped), with("--max-payload-bytes=1100000")).knee(large...)
	t.Logf("the knee: %.0f exchanges a second, each with a megabyte both ways", knee)

	for _, state := range []fault{healthy, refusing, swallowing} {
		for round := range *rounds {
			t.Run(fmt.Sprintf("%s round %d", state, round+1), func(t *testing.T) {
				choose := rand.New(rand.NewPCG(*seed, uint64(round)))
				group := newMemoryGroup(t, limit)
				r := newRig(t, contained(group, shipped), with("--max-payload-bytes=1100000"))
				r.network.become(state)
				peak := r.watchMemory()
				took := r.openLoop(5*knee, int(5*knee)+choose.IntN(20), large...)
				hold(t, r.soFar(), always()...)
				resident, kills := peak(), group.kills()
				t.Logf("%d exchanges at %.0f a second: from the intended time %s in the median, %s at the 99th percentile; %d MiB resident at most, the cgroup %d of %d MiB, killed %s times; %+v",
					len(took), 5*knee, quantile(took, 0.5), quantile(took, 0.99), resident>>20, group.peak()>>20, limit>>20, kills, r.ledger())
				// A cgroup's own peak has files and sockets in it that the kernel
				// gives up first: at the limit it may be, killed it may not.
				if kills != "0" || r.Gone() {
					t.Errorf("P7: the agent was killed %s times", kills)
				}
				if resident >= limit {
					t.Errorf("P7: %d bytes resident, the container's limit is %d", resident, limit)
				}
				r.network.become(healthy)
				r.awaitSuccess()
				r.awaitArrival(r.one(small()))
				hold(t, r.atRest(), always()...)
			})
		}
	}
}

// asShipped returns the settings that an agent has where nobody set any.
func asShipped(t *testing.T) *config.Agent {
	t.Helper()
	shipped, err := config.NewAgentFromConfigMap(&corev1.ConfigMap{Data: map[string]string{"image": "agent"}})
	if err != nil {
		t.Fatal("the defaults of config-agent:", err)
	}
	return shipped
}

// contained has the agent run in a memory cgroup with its shares of the limit,
// as the controller passes them.
func contained(group *memoryGroup, settings *config.Agent) option {
	return func(o *options) {
		o.wrapper = group.enter()
		o.environment = append(o.environment, "GOMEMLIMIT="+settings.GoMemoryLimit)
		with(fmt.Sprintf("--buffer-bytes=%d", settings.BufferBytes))(o)
	}
}

// atOnce is how many exchanges clients have in flight at most. A Revision of
// Knative Serving aims at a hundred where nobody says otherwise, and the long
// form has them: then up to 121 of an agent's 128 MiB were seen in use, for
// what HTTP/2 buffers of an exchange is in no budget.
func atOnce() int {
	if *rounds > 1 {
		return 100
	}
	return 50
}

// openLoop begins exchanges at a rate a second, whatever became of those
// before, and gives how long each took from when it was to begin.
func (c *clients) openLoop(rate float64, count int, sorts ...sort) []time.Duration {
	took := make([]time.Duration, count)
	under := make(chan struct{}, atOnce())
	var group sync.WaitGroup
	begun := time.Now()
	for n := range count {
		intended := begun.Add(time.Duration(float64(n) / rate * float64(time.Second)))
		time.Sleep(time.Until(intended))
		under <- struct{}{}
		group.Go(func() {
			c.exchange(context.Background(), sorts[n%len(sorts)])
			took[n] = time.Since(intended)
			<-under
		})
	}
	group.Wait()
	return took
}

// knee is the rate beyond which clients, agent and model together don't follow.
func (r *rig) knee(sorts ...sort) float64 {
	r.t.Helper()
	for rate := 10.0; ; rate *= 1.5 {
		count := int(rate)
		begun := time.Now()
		r.openLoop(rate, count, sorts...)
		if reached := float64(count) / time.Since(begun).Seconds(); reached < 0.8*rate {
			return reached
		}
	}
}

func quantile(durations []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(durations))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)].Round(time.Millisecond)
}
