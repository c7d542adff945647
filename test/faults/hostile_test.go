/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package faults

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// TestSlowClients (P6, P7): clients that never come to an end take neither
// other clients' responses nor the agent's memory, and leave nothing behind.
func TestSlowClients(t *testing.T) {
	const limit = 64 << 20
	inRounds(t, func(t *testing.T, choose *rand.Rand) {
		memory := withMemory(16<<20, limit*3/4)
		goroutines := newRig(t, memory).goroutines()
		r := newRig(t, memory)
		r.load(1, 1, small())
		before := usage{descriptors: r.descriptors(), goroutines: goroutines}
		peak := r.watchMemory()

		const head = "POST /v1/models/m:predict HTTP/1.1\r\nHost: m\r\n"
		const announced = head + "Content-Length: 1000000\r\n\r\n"
		beginnings := []string{"", "P", head, head + "X-A: " + strings.Repeat("a", 4000), announced, announced + "a"}
		var slow []net.Conn
		for n := range 300 {
			connection := r.Dial()
			defer connection.Close()
			fmt.Fprint(connection, beginnings[(n+choose.IntN(2))%len(beginnings)])
			slow = append(slow, connection)
		}
		agenttest.Eventually(t, "the bodies that never come are waited for", func() bool { return r.status().Active >= 90 })
		// While others are served, each says a little more.
		stop := r.begin(4, small(), overHTTP2(small()), serverSentEvents(), streaming())
		for _, connection := range slow {
			fmt.Fprint(connection, "a")
		}
		r.awaitExchanges(40)
		stop()
		for _, connection := range slow {
			connection.Close()
		}
		e := r.atRest()
		hold(t, e, always()...)
		if used := r.status().BufferUsed; used != 0 {
			t.Errorf("%d bytes are held for clients that are gone", used)
		}
		highest := peak()
		r.hangUp()
		r.network.become(refusing)
		r.Model.Close()
		agenttest.Eventually(t, "the agent holds no connection", func() bool { return r.descriptors() <= before.descriptors })
		after := usage{descriptors: r.descriptors(), goroutines: r.goroutines()}
		t.Logf("resident %d MiB at most, %d descriptors before and %d after, %d goroutines after",
			highest>>20, before.descriptors, after.descriptors, after.goroutines)
		if err := isBounded(before, after, highest, limit); err != nil {
			t.Error(err)
		}
	})
}

// TestSlowHeadIsCutOff (P7): a head may take a minute, as queue-proxy has it.
// It is a part of the long form only, for the minute is the agent's own.
func TestSlowHeadIsCutOff(t *testing.T) {
	if *rounds == 1 {
		t.Skip("takes a minute: -faults.rounds=2 has it")
	}
	t.Parallel()
	r := newRig(t)
	connection := r.Dial()
	defer connection.Close()
	fmt.Fprint(connection, "POST / HTTP/1.1\r\nHost: ")
	_, _ = io.Copy(io.Discard, connection)
	r.idle()
}

// TestDecompressionBombs (P6, P7): bodies that decode to a thousand times their size cost no
// more than their event may hold, and are counted; the client gets every byte.
func TestDecompressionBombs(t *testing.T) {
	const limit = 64 << 20
	inRounds(t, func(t *testing.T, _ *rand.Rand) {
		// Without the encoded types, so that each is counted as dropped.
		r := newRig(t, withMemory(16<<20, limit*3/4), with("--events=request,response,stream"))
		peak := r.watchMemory()
		bombs := []struct {
			header http.Header
			body   []byte
		}{
			{http.Header{"Content-Encoding": {"gzip"}}, gzipBomb(300 << 20)},
			{http.Header{"Content-Encoding": {"deflate"}}, zlibBomb(300 << 20)},
			{http.Header{"Content-Encoding": {"br"}}, brotliBomb(300 << 20)},
			{http.Header{"Content-Encoding": {"zstd"}}, zstdBomb(t, 300<<20)},
			{http.Header{"Content-Encoding": {"gzip"}}, bytes.Repeat(gzipBomb(1<<20), 200)},
			{http.Header{"Content-Type": {"application/grpc"}, "Grpc-Encoding": {"gzip"}}, compressedFrame(gzipBomb(300 << 20))},
		}
		const clients, each = 4, 12
		var group sync.WaitGroup
		for range clients {
			group.Go(func() {
				for n := range each {
					bomb := bombs[n%len(bombs)]
					if got, err := r.reflected(bomb.header, bomb.body); err != nil || !bytes.Equal(got, bomb.body) {
						t.Errorf("P6: of a bomb of %d bytes the client got back %d: %v", len(bomb.body), len(got), err)
					}
				}
			})
		}
		group.Wait()
		e := r.atRest()
		hold(t, e, theLawHolds)
		// On a busy machine bombs may come faster than they are looked into. Those
		// that the budget has no room for are dropped for it.
		encoded, budget := e.agent.Dropped[ledger.ReasonEncoded], e.agent.Dropped[ledger.ReasonBudget]
		if encoded == 0 || encoded+budget != e.agent.Observed || e.agent.Observed != 2*clients*each {
			t.Errorf("of %d bombs both ways the ledger says %+v", clients*each, e.agent)
		}
		highest := peak()
		t.Logf("resident %d MiB at most", highest>>20)
		if err := isBounded(usage{}, usage{}, highest, limit); err != nil {
			t.Error(err)
		}
	})
}

// reflected posts a body to a path where the model gives it back.
func (r *rig) reflected(header http.Header, body []byte) ([]byte, error) {
	outgoing, err := http.NewRequest(http.MethodPost, r.URL+reflecting, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	outgoing.Header = header.Clone()
	responded, err := r.http1.RoundTrip(outgoing)
	if err != nil {
		return nil, err
	}
	defer responded.Body.Close()
	return io.ReadAll(responded.Body)
}

func gzipBomb(size int) []byte {
	var compressed bytes.Buffer
	writer := gzip.NewWriter(&compressed)
	explode(writer, size)
	return compressed.Bytes()
}

func zlibBomb(size int) []byte {
	var compressed bytes.Buffer
	writer := zlib.NewWriter(&compressed)
	explode(writer, size)
	return compressed.Bytes()
}

func brotliBomb(size int) []byte {
	var compressed bytes.Buffer
	explode(brotli.NewWriterLevel(&compressed, brotli.BestSpeed), size)
	return compressed.Bytes()
}

func zstdBomb(t *testing.T, size int) []byte {
	t.Helper()
	var compressed bytes.Buffer
	writer, err := zstd.NewWriter(&compressed, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	explode(writer, size)
	return compressed.Bytes()
}

func explode(writer io.WriteCloser, size int) {
	zeros := make([]byte, 1<<20)
	for range size / len(zeros) {
		_, _ = writer.Write(zeros)
	}
	_ = writer.Close()
}

// compressedFrame is a gRPC message that says of itself that it is compressed.
func compressedFrame(message []byte) []byte {
	framed := frame(message)
	framed[0] = 1
	return framed
}
