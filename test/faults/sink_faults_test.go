/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package faults

import (
	"bytes"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// TestSinkResponses (P1, P6, P9): each status, with odd headers and bodies,
// decides over the event as the Knative data-plane contract has it, and over
// nothing else.
func TestSinkResponses(t *testing.T) {
	retryAfter := func(value string) http.Header { return http.Header{"Retry-After": {value}} }
	type row struct {
		name  string
		reply reply
		want  string
	}
	const (
		delivered = "delivered"
		again     = "tried again"
		refused   = "refused"
	)
	var elsewhere atomic.Int64
	trap := agenttest.Serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	redirect := http.Header{"Location": {trap.URL + "/"}}

	rows := []row{
		{"200 with a response", reply{status: 200, body: []byte("thanks")}, delivered},
		{"201", reply{status: 201}, delivered},
		{"204", reply{status: 204}, delivered},
		{"299", reply{status: 299}, delivered},
		{"200 with a huge body", reply{status: 200, body: make([]byte, 8<<20)}, delivered},
		{"202 with Retry-After", reply{status: 202, header: retryAfter("100000")}, delivered},
		{"301", reply{status: 301, header: redirect}, refused},
		{"302", reply{status: 302, header: redirect}, refused},
		{"303", reply{status: 303, header: redirect}, refused},
		{"307", reply{status: 307, header: redirect}, refused},
		{"308", reply{status: 308, header: redirect}, refused},
		{"304", reply{status: 304}, refused},
		{"400", reply{status: 400}, refused},
		{"401", reply{status: 401, header: http.Header{"Www-Authenticate": {"Basic"}}}, refused},
		{"403", reply{status: 403}, refused},
		{"410", reply{status: 410}, refused},
		{"413", reply{status: 413}, refused},
		{"418", reply{status: 418}, refused},
		{"499", reply{status: 499}, refused},
		{"400 with a huge body", reply{status: 400, body: bytes.Repeat([]byte("no "), 3<<20)}, refused},
		{"400 with Retry-After", reply{status: 400, header: retryAfter("1")}, refused},
		{"404", reply{status: 404}, again},
		{"408", reply{status: 408}, again},
		{"409", reply{status: 409}, again},
		{"429", reply{status: 429}, again},
		{"500", reply{status: 500}, again},
		{"501", reply{status: 501}, again},
		{"502", reply{status: 502}, again},
		{"503", reply{status: 503}, again},
		{"504", reply{status: 504}, again},
		{"599", reply{status: 599}, again},
		{"600", reply{status: 600}, again},
		{"999", reply{status: 999}, again},
		{"503 with a huge body", reply{status: 503, body: make([]byte, 8<<20)}, again},
		{"202 with a huge header", reply{status: 202, header: http.Header{"X-Much": {strings.Repeat("x", 1<<20)}}}, again},
		{"202 with a hundred thousand headers", reply{status: 202, header: http.Header{"X-Many": make([]string, 100_000)}}, again},
	}
	for _, odd := range []string{
		"1", "0", "-1", "+1", "1.5", "1e9", "99999999999999999999", "100000", "soon", "", " ", "\t1", "NaN",
		"Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "Fri, 99 Foo 9999 23:59:59 GMT",
	} {
		rows = append(rows, row{"503 with Retry-After " + odd, reply{status: 503, header: retryAfter(odd)}, again})
	}
	rows = append(rows, row{"429 with several Retry-After", reply{status: 429, header: http.Header{"Retry-After": {"1", "100000", "x"}}}, again})

	inRounds(t, func(t *testing.T, choose *rand.Rand) {
		// A Retry-After counts for a moment only, so that all have their turn.
		r := newRig(t, responsesOnly(), with("--sink.default.retry-after-max=200ms"))
		choose.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		refusals, retries := uint64(0), uint64(0)
		for _, row := range rows {
			r.sink.responding(func(n int) reply {
				if n == 1 || row.want == refused {
					return row.reply
				}
				return accepted
			})
			before := r.ledger()
			id := r.one(small())
			now := r.atRest().agent
			got := "?"
			switch {
			case now.Delivered == before.Delivered+1 && now.Retried == before.Retried:
				got = delivered
			case now.Delivered == before.Delivered+1 && now.Retried == before.Retried+1:
				got = again
				retries++
			case now.DroppedTotal() == before.DroppedTotal()+1 && now.Retried == before.Retried:
				got = refused
				refusals++
			}
			if got != row.want || r.sink.has(id, response) == (row.want == refused) {
				t.Errorf("%s: %s, want %s; the ledger says %+v, and before %+v", row.name, got, row.want, now, before)
			}
		}
		e := r.atRest()
		hold(t, e, append(always(), lossesAreCountable)...)
		if elsewhere.Load() != 0 {
			t.Error("a redirect was followed")
		}
		if e.agent.DroppedTotal() != refusals || e.agent.Retried != retries {
			t.Errorf("the ledger says %+v", e.agent)
		}
	})
}

// TestFlappingSink responds as it likes, while clients go on.
func TestFlappingSink(t *testing.T) {
	inRounds(t, func(t *testing.T, choose *rand.Rand) {
		r := newRig(t)
		moods := []int{202, 202, 202, 202, 202, 200, 400, 404, 429, 500, 503, 307}
		// Under the sink's own lock.
		r.sink.responding(func(int) reply { return reply{status: moods[choose.IntN(len(moods))]} })
		r.load(6, 30, small(), overHTTP2(small()), serverSentEvents(), streaming())
		hold(t, r.atRest(), append(always(), lossesAreCountable)...)

		r.sink.responding(nil)
		r.awaitArrival(r.one(small()))
		hold(t, r.atRest(), append(always(), lossesAreCountable)...)
	})
}

// TestSubscriberOfAllKindsCountsLosses (P9), those for want of room too.
func TestSubscriberOfAllKindsCountsLosses(t *testing.T) {
	inRounds(t, func(t *testing.T, choose *rand.Rand) {
		r := newRig(t, withLedger(agentconfig.KindRequestFailure, agentconfig.KindResponseFailure),
			with("--buffer-bytes=200000", "--max-payload-bytes=20000"))
		sorts := []sort{small(), sized(10_000, 19_000), sized(30_000, 100), sized(100, 50_000), serverSentEvents(), streaming()}
		choose.Shuffle(len(sorts), func(i, j int) { sorts[i], sorts[j] = sorts[j], sorts[i] })
		r.network.become(refusing)
		r.load(4, 20, sorts...)
		r.network.become(healthy)
		r.awaitSuccess()
		r.load(4, 10, sorts...)
		e := r.atRest()
		hold(t, e, append(always(), lossesAreCountable)...)
		if e.agent.DroppedTotal() == 0 {
			t.Errorf("nothing was lost, so nothing was counted: %+v", e.agent)
		}
	})
}
