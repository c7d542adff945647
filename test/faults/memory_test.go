/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package faults

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// inAContainer (P7) has clients take memory of an agent in a container of the
// size that it ships with. The kernel kills it never, and when the clients are
// gone it holds what it held before.
func inAContainer(t *testing.T, take func(t *testing.T, r *rig, choose *rand.Rand), properties ...property) {
	settings := asShipped(t)
	limit := settings.Resources.Limits.Memory().Value()
	inRounds(t, func(t *testing.T, choose *rand.Rand) {
		goroutines := newRig(t, contained(newMemoryGroup(t, limit), settings)).goroutines()
		group := newMemoryGroup(t, limit)
		r := newRig(t, contained(group, settings), with("--events=request,response,stream,request.oversize,response.oversize"))
		r.awaitArrival(r.one(small()))
		before := usage{descriptors: r.descriptors(), goroutines: goroutines}
		peak := r.watchMemory()

		take(t, r, choose)

		resident, kills := peak(), group.kills()
		t.Logf("resident %d MiB at most, the cgroup %d of %d MiB; %+v", resident>>20, group.peak()>>20, limit>>20, r.ledger())
		if kills != "0" || r.Gone() {
			t.Fatalf("P7: the agent was killed %s times", kills)
		}
		r.network.become(healthy)
		r.awaitSuccess()
		hold(t, r.atRest(), properties...)
		if used := r.status().BufferUsed; used != 0 {
			t.Errorf("at rest %d bytes are held", used)
		}
		r.hangUp()
		r.network.become(refusing)
		r.Model.Close()
		agenttest.Eventually(t, "the agent holds no connection", func() bool { return r.descriptors() <= before.descriptors })
		after := usage{descriptors: r.descriptors(), goroutines: r.goroutines()}
		if err := isBounded(before, after, resident, limit); err != nil {
			t.Error(err)
		}
	})
}

// TestLongHeads: a queued event keeps nothing of its request's head, and heads
// that come at the same time have a bound.
func TestLongHeads(t *testing.T) {
	inAContainer(t, func(t *testing.T, r *rig, _ *rand.Rand) {
		r.network.become(swallowing)
		r.load(8, 25, at("/"+strings.Repeat("a", 900_000), small()))
		r.load(32, 70, at("/"+strings.Repeat("a", 50_000), small()))
		hold(t, r.soFar(), always()...)
	}, always()...)
}

// TestGzipBodies: a queued event has its body once.
func TestGzipBodies(t *testing.T) {
	inAContainer(t, func(t *testing.T, r *rig, choose *rand.Rand) {
		var compressed bytes.Buffer
		writer := gzip.NewWriter(&compressed)
		for range 5000 {
			fmt.Fprintf(writer, "%x\n", choose.Uint64())
			fmt.Fprintf(writer, "%x%x%x\n", choose.Uint64(), choose.Uint64(), choose.Uint64())
		}
		_ = writer.Close()
		r.network.become(swallowing)
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				for range 40 {
					got, err := r.reflected(http.Header{"Content-Encoding": {"gzip"}}, compressed.Bytes())
					if err != nil || !bytes.Equal(got, compressed.Bytes()) {
						t.Errorf("P6: of a body of %d bytes the client got back %d: %v", compressed.Len(), len(got), err)
					}
				}
			})
		}
		group.Wait()
		hold(t, r.soFar(), theLawHolds)
	}, theLawHolds)
}

// TestUnreadResponses: clients that read nothing of a response over HTTP/2 take
// little of the agent, and the whole response is theirs when they read it.
func TestUnreadResponses(t *testing.T) {
	inAContainer(t, func(t *testing.T, r *rig, _ *rand.Rand) {
		const clients = 48
		read := make(chan struct{})
		var group sync.WaitGroup
		for range clients {
			group.Go(func() { r.exchange(context.Background(), unreadUntil(read, overHTTP2(sized(100, 6<<20)))) })
		}
		agenttest.Eventually(t, "all responses have begun", func() bool { return len(r.model.copy()) >= clients })
		// Others get responses on the same connection.
		r.load(4, 50, overHTTP2(small()), overHTTP2(sized(100_000, 100_000)))
		close(read)
		group.Wait()
		hold(t, r.soFar(), always()...)
	}, always()...)
}

// TestIdleStreams: streams that send nothing are bounded in number. Who comes
// when there is no room is told so, and every stream in flight is unharmed.
func TestIdleStreams(t *testing.T) {
	inAContainer(t, func(t *testing.T, r *rig, _ *rand.Rand) {
		r.crowd(t, idleStream(), func() { close(r.model.goesOn) })
	}, alwaysWithRefusals()...)
}

// TestUnfinishedRequests: so are requests whose end doesn't come.
func TestUnfinishedRequests(t *testing.T) {
	inAContainer(t, func(t *testing.T, r *rig, _ *rand.Rand) {
		come := make(chan struct{})
		r.crowd(t, heldBack(come, sized(120_000, 300)), func() { close(come) })
	}, alwaysWithRefusals()...)
}

// crowd makes more exchanges at the same time than an agent has room for, and
// ends them when each has its place or was told that there is none.
func (r *rig) crowd(t *testing.T, s sort, end func()) {
	t.Helper()
	const clients, atOnce = 2500, 250
	var group sync.WaitGroup
	for begun := range clients / atOnce {
		for range atOnce {
			group.Go(func() { r.exchange(context.Background(), s) })
		}
		agenttest.Eventually(t, "each is under way or was told", func() bool {
			return r.status().Active+int64(r.told()) >= int64(begun+1)*atOnce
		})
	}
	end()
	group.Wait()
	refused, served := r.told(), r.model.copy()
	for id, seen := range r.copy() {
		if seen.status == http.StatusServiceUnavailable && served[id].responded {
			t.Errorf("P6: %s was refused, and the model had it", id)
		}
	}
	if skipped := r.status().Skipped[ledger.SkipOverload]; skipped != refused || refused == 0 {
		t.Errorf("%d clients were refused, the agent counts %d", refused, skipped)
	}
	t.Logf("%d of %d had room", clients-refused, clients)
	// There is room again.
	if id := r.one(small()); !r.copy()[id].whole {
		t.Errorf("P6: the client of %s got %+v", id, r.copy()[id])
	}
}

// told is the number of clients that were refused.
func (r *rig) told() uint64 {
	told := uint64(0)
	for _, seen := range r.copy() {
		if seen.status == http.StatusServiceUnavailable {
			told++
		}
	}
	return told
}

func alwaysWithRefusals() []property {
	return []property{
		theLawHolds, nothingIsUnexpected, theLedgerIsTrue,
		everyBodyIsTheirs, aDuplicateIsTheSame, everyClientWasServedOrTold,
	}
}

// everyClientWasServedOrTold (P6): where the agent had no room, it said so and
// when to come again.
func everyClientWasServedOrTold(e evidence) error {
	for id, client := range e.clients {
		told := client.status == http.StatusServiceUnavailable && len(client.header["Retry-After"]) == 1 && client.err == ""
		if !client.whole && !told {
			return fmt.Errorf("P6: the client of %s got %d %s", id, client.status, client.err)
		}
	}
	return nil
}

// TestAdminPortUnderLoad: whoever holds connections of the admin port, or
// scrapes it all the time, takes little, and the probes from the pod are
// responded meanwhile.
func TestAdminPortUnderLoad(t *testing.T) {
	inAContainer(t, func(t *testing.T, r *rig, _ *rand.Rand) {
		_, port, err := net.SplitHostPort(strings.TrimPrefix(r.Admin, "http://"))
		if err != nil {
			t.Fatal("the admin port:", err)
		}
		address := net.JoinHostPort(ownAddress(t), port)
		for n := range 6600 {
			connection, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal("dialling the admin port:", err)
			}
			defer connection.Close()
			// It may be closed already.
			_, _ = io.WriteString(connection, []string{"", "G", "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"}[n%3])
		}
		stopped := make(chan struct{})
		var group sync.WaitGroup
		for range 64 {
			group.Go(func() {
				client := http.Client{Transport: &http.Transport{}}
				defer client.CloseIdleConnections()
				for {
					select {
					case <-stopped:
						return
					case <-time.After(time.Millisecond):
					}
					ctx, cancel := context.WithTimeout(context.Background(), time.Second)
					if asked, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", nil); err == nil {
						if responded, err := client.Do(asked); err == nil {
							_, _ = io.Copy(io.Discard, responded.Body)
							responded.Body.Close()
						}
					}
					cancel()
				}
			})
		}
		r.load(4, 50, small(), overHTTP2(small()))
		for range 20 {
			r.Page("/readyz")
		}
		hold(t, r.soFar(), always()...)
		if descriptors := r.descriptors(); descriptors > 1000 {
			t.Errorf("P7: %d descriptors are open", descriptors)
		}
		close(stopped)
		group.Wait()
	}, always()...)
}

// ownAddress is an address of this machine that is not a loopback address: what
// goes there stays on the machine, and is a stranger's for an agent.
func ownAddress(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal("the machine's addresses:", err)
	}
	for _, address := range addresses {
		if network, ok := address.(*net.IPNet); ok && network.IP.IsGlobalUnicast() {
			return network.IP.String()
		}
	}
	t.Log("the machine has no address but the loopback: the strangers are none")
	return "127.0.0.1"
}
