/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package faults

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// onTmpfs gives the agent a spool on a filesystem of its own, mounted with
// these options. Where there can be none, the test is skipped and says why.
func onTmpfs(t *testing.T, mountOptions string) option {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a filesystem of the agent's own needs root")
	}
	directory := t.TempDir()
	mount := []string{"/bin/sh", "-c", `mount -t tmpfs -o "$0" tmpfs "$1" && shift && exec "$@"`, mountOptions, directory}
	attempt := exec.Command("unshare", append([]string{"--mount", "--"}, append(mount, "true")...)...)
	if output, err := attempt.CombinedOutput(); err != nil {
		t.Skipf("no tmpfs can be mounted here: %v\n%s", err, output)
	}
	return func(o *options) {
		o.wrapper, o.mounts = mount, true
		with("--sink.default.spool-dir="+directory, "--sink.default.spool-bytes=67108864")(o)
	}
}

// failingDisk has every third write fail after the first ten, and every second
// sync, by strace. Where that can't be, the test is skipped and says why.
func failingDisk(t *testing.T) option {
	t.Helper()
	trace := []string{
		"strace", "-D", "-f", "-qqq", "-o", "/dev/null", "-e", "trace=pwrite64,fdatasync,fsync",
		"-e", "inject=pwrite64:error=EIO:when=10+3", "-e", "inject=fdatasync,fsync:error=EIO:when=2+2",
	}
	if output, err := exec.Command(trace[0], append(trace[1:], "true")...).CombinedOutput(); err != nil {
		t.Skipf("strace can't inject faults here: %v\n%s", err, output)
	}
	return func(o *options) { o.wrapper = append(trace, "--") }
}

// TestDisksThatFail (P1, P3, P6): whatever becomes of the spool's disk, no
// client notices, what there is no room for is counted, and the rest arrives.
func TestDisksThatFail(t *testing.T) {
	for _, test := range []struct {
		name string
		disk func(*testing.T) []option
	}{
		{"full", func(t *testing.T) []option { return []option{onTmpfs(t, "size=256k")} }},
		{"without inodes", func(t *testing.T) []option { return []option{onTmpfs(t, "size=64m,nr_inodes=1")} }},
		{"read-only", func(t *testing.T) []option { return []option{onTmpfs(t, "ro")} }},
		{"that fails now and then", func(t *testing.T) []option { return []option{failingDisk(t), withSpool(t)} }},
		{"that isn't there", func(t *testing.T) []option {
			return []option{with("--sink.default.spool-dir="+filepath.Join(t.TempDir(), "no", "such", "folder"), "--sink.default.spool-bytes=67108864")}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			inRounds(t, func(t *testing.T, choose *rand.Rand) {
				r := newRig(t, append(test.disk(t), with("--buffer-bytes=2000000"))...)
				r.network.become(refusing)
				r.load(4, 100+choose.IntN(50), sized(5000, 10_000), overHTTP2(sized(10_000, 5000)), serverSentEvents(), streaming())
				hold(t, r.soFar(), always()...)
				agenttest.Eventually(t, "the disk fails", func() bool {
					// What waits for two seconds goes to the disk.
					r.load(1, 1, small())
					return r.status().Spools["default"].Errors > 0
				})
				r.network.become(healthy)
				// While the budget is full a new event would be lost, and counted.
				r.atRest()
				r.awaitArrival(r.one(small()))
				e := r.atRest()
				hold(t, e, append(always(), lossesAreCountable)...)
				status := r.status().Spools["default"]
				t.Logf("%+v; %+v", e.agent, status)
				if lost := e.agent.DroppedTotal(); lost != e.agent.Dropped[ledger.ReasonBudget] {
					t.Errorf("the ledger says %+v", e.agent)
				}
			})
		})
	}
}

// TestDamagedSpool (P1, P3): bits that flipped while no agent ran cost events,
// which are counted, and never give one that wasn't.
func TestDamagedSpool(t *testing.T) {
	inRounds(t, func(t *testing.T, choose *rand.Rand) {
		directory := filepath.Join(t.TempDir(), "default")
		r := newRig(t, with("--sink.default.spool-dir="+directory, "--sink.default.spool-bytes=67108864"))
		r.network.become(refusing)
		r.load(3, 60+choose.IntN(60), sized(20_000, 20_000), small())
		r.awaitSpooled()
		spooled := r.ledger().Observed
		r.Kill()
		const flips = 5
		flipBits(t, directory, flips, choose)

		r.network.become(healthy)
		r.followed()
		live := r.one(small())
		r.awaitArrival(live)
		e := r.atRestAfterReading()
		hold(t, e, append(afterAKill(), theLawHolds, arrived(live))...)
		status := r.status().Spools["default"]
		lost := e.agent.Dropped[ledger.ReasonUnreadable]
		t.Logf("%d bits flipped in what %d events left: %d blocks are corrupt, %d events lost", flips, spooled, status.CorruptBlocks, lost)
		// At the very end of what a process wrote, damage looks as a write that
		// its death cut short, of which nobody was told that it was spooled.
		if missing := spooled + 2 - uint64(len(byID(e.sink))); missing > lost && status.TornTails == 0 {
			t.Errorf("P1: %d events are missing, %d are called unreadable", missing, lost)
		}
	})
}

// flipBits flips so many bits of a directory's segments.
func flipBits(t *testing.T, directory string, count int, choose *rand.Rand) {
	t.Helper()
	segments, err := filepath.Glob(filepath.Join(directory, "*.segment"))
	if err != nil || len(segments) == 0 {
		t.Fatal("there are no segments:", err)
	}
	for range count {
		name := segments[choose.IntN(len(segments))]
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal("reading a segment:", err)
		}
		content[choose.IntN(len(content))] ^= 1 << choose.IntN(8)
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal("writing a segment:", err)
		}
	}
}

// TestKillsUnderAFlappingSink (P2 to P4): the sink comes and goes at random
// while clients go on, and agents are killed at any moment.
func TestKillsUnderAFlappingSink(t *testing.T) {
	inRounds(t, func(t *testing.T, choose *rand.Rand) {
		// Retries that are asked for, so that no event is poison: what ends by
		// being dropped isn't called spooled, but ended.
		r := newRig(t, impatient(), withSpool(t), with("--sink.default.retry=1000", "--sink.default.backoff-policy=linear", "--sink.default.backoff-delay=1ms"))
		var pledges []pledge
		for life := range 3 {
			if life > 0 {
				r.followed()
			}
			stop := r.begin(3, small(), overHTTP2(sized(20_000, 20_000)), serverSentEvents(), streaming())
			for range 3 + choose.IntN(5) {
				r.network.become([]fault{refusing, swallowing, resetting, healthy}[choose.IntN(4)])
				r.awaitExchanges(10 + choose.IntN(40))
			}
			status := r.status()
			time.Sleep(time.Duration(choose.IntN(20)) * time.Millisecond)
			r.Kill()
			stop()
			if dropped := status.Sinks["default"].DroppedTotal(); dropped > 0 {
				t.Errorf("the ledger says %+v", status.Sinks["default"])
			}
			pledges = append(pledges, pledgeOf(status))
			hold(t, r.evidence(ledger.Snapshot{}), afterAKill()...)
		}
		r.network.become(healthy)
		r.followed()
		live := r.one(small())
		r.awaitArrival(live)
		e := r.atRestAfterReading()
		hold(t, e, append(afterAKill(), pledgesAreKept(pledges...), theLawHolds, arrived(live))...)
		t.Logf("called spooled: %+v", pledges)
	})
}
