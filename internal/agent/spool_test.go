/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/delivery"
	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agent/spool"
	"github.com/sidenote-dev/sidenote/internal/agent/status"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// spooling returns the sink default a spool.
func spooling(directory string, bytes int) agenttest.Option {
	return agenttest.With("--sink.default.spool-dir="+directory, "--sink.default.spool-bytes="+strconv.Itoa(bytes))
}

// down has the rig's sink fail until it recovers.
func down(t *testing.T) agenttest.Option { return agenttest.To(agenttest.NewSink(t, agenttest.Down)) }

// spool returns what /status says of a sink's spool.
func (r *rig) spool(sink string) delivery.SpoolStatus {
	r.t.Helper()
	var status status.Status
	mustJSON(r.t, r.Page("/status"), &status)
	return status.Spools[sink]
}

// observe makes exchanges, of which each gives two events, and gives their
// number.
func (r *rig) observe(exchanges int, body string) int {
	r.t.Helper()
	for range exchanges {
		if status, _ := r.Post("/v1/models/m:predict", body); status != http.StatusOK {
			r.t.Fatalf("the client got %d", status)
		}
	}
	return 2 * exchanges
}

// spooled waits until a kill would lose none of the first n events.
func (r *rig) spooled(n int) {
	r.t.Helper()
	agenttest.Eventually(r.t, fmt.Sprintf("%d events have ended or are on the disk", n), func() bool {
		return r.spool("default").SpooledThrough >= uint64(n)
	})
}

// closes fails the test where the ledger doesn't.
func closes(t *testing.T, s ledger.Snapshot) {
	t.Helper()
	if s.Observed+s.Recovered != s.Delivered+s.DroppedTotal()+s.DeadLettered+s.Pending {
		t.Errorf("the ledger doesn't close: %+v", s)
	}
}

// places are the sequences of the events of an agent, how often each came.
func places(events []agenttest.Event, instance string) map[int]int {
	places := make(map[int]int)
	for _, e := range events {
		if e.Attribute("agentinstance") == instance {
			n, _ := strconv.Atoi(e.Attribute("agentsequence"))
			places[n]++
		}
	}
	return places
}

// TestNextAgentDeliversTheSpool, as it was, and beside what is live.
func TestNextAgentDeliversTheSpool(t *testing.T) {
	sink := agenttest.NewSink(t, agenttest.Down)
	options := []agenttest.Option{spooling(filepath.Join(t.TempDir(), "default"), 16<<20), agenttest.To(sink)}
	first := newRig(t, options...)
	n := first.observe(20, `{"instances":[1]}`)
	first.spooled(n)
	if got := first.spool("default"); !got.Open || got.Spooled != uint64(n) || got.Bytes == 0 || got.Bytes > got.Limit || got.Failing {
		t.Errorf("the spool says %+v", got)
	}
	first.Kill()
	if s := first.ledger(); s.Dropped[ledger.ReasonShutdown] != uint64(n) || s.Pending != 0 {
		t.Errorf("what is left counts as dropped: %+v", s)
	}

	sink.Recover()
	second := newRig(t, options...)
	second.observe(1, "{}")
	events := sink.Await(n + 2)
	s := second.settled()
	if s.Recovered != uint64(n) || s.Delivered != s.Recovered+2 {
		t.Errorf("the ledger says %+v", s)
	}
	closes(t, s)
	if live := places(events, second.agent.instance); len(live) != 2 {
		t.Errorf("%d live events came", len(live))
	}
	old := places(events, first.agent.instance)
	for place := 1; place <= n; place++ {
		if old[place] != 1 {
			t.Errorf("event %d came %d times", place, old[place])
		}
	}
	for _, e := range events {
		want := `{"predictions":[0.8,0.2]}`
		switch {
		case strings.HasSuffix(e.Type(), "response"):
		case e.Attribute("agentinstance") == first.agent.instance:
			want = `{"instances":[1]}`
		default:
			want = "{}"
		}
		if string(e.Data()) != want {
			t.Errorf("an event has %s, and not %s", e.Data(), want)
		}
	}
	agenttest.Eventually(t, "all is acknowledged", func() bool { return !second.spool("default").Unread })
	second.Kill()

	third := newRig(t, options...)
	agenttest.Eventually(t, "the spool was read", func() bool { return third.agent.spoolsEmpty() && third.spool("default").Open })
	if s := third.ledger(); s.Recovered != 0 {
		t.Errorf("what was delivered comes back: %+v", s)
	}
}

// TestSpoolHoldsMoreThanTheBudget: the disk has the rest.
func TestSpoolHoldsMoreThanTheBudget(t *testing.T) {
	r := newRig(t, down(t), spooling(filepath.Join(t.TempDir(), "s"), 64<<20), agenttest.With("--buffer-bytes=4194304", "--mode=request"))
	body := `"` + strings.Repeat("x", 200_000) + `"`
	const exchanges = 60
	for i := range exchanges {
		r.observe(1, body)
		// The disk is given the time that a client takes.
		agenttest.Eventually(t, "there is room", func() bool { return r.agent.budget.Used() < r.agent.budget.Usage().BufferLimit*3/4 })
		if s := r.ledger(); s.DroppedTotal() > 0 {
			t.Fatalf("after %d events of 200 KB, in a budget of 4 MiB, the ledger says %+v", i, s)
		}
	}
	r.Sink.Recover()
	s := r.settled()
	if s.Delivered != exchanges || s.Spooled < exchanges/2 {
		t.Errorf("the ledger says %+v", s)
	}
	if got := places(r.Sink.Events(), r.agent.instance); len(got) != exchanges {
		t.Errorf("%d of %d events came", len(got), exchanges)
	}
	agenttest.Eventually(t, "nothing but what is reserved is held", func() bool { return r.agent.budget.Used() == r.agent.spools.Reserved })
}

// TestFullSpoolDropsTheOldest, each counted.
func TestFullSpoolDropsTheOldest(t *testing.T) {
	r := newRig(t, down(t), spooling(filepath.Join(t.TempDir(), "s"), spool.MinLimit), agenttest.With("--buffer-bytes=1048576", "--mode=request"))
	body := `"` + strings.Repeat("x", 20_000) + `"`
	const exchanges = 60
	for range exchanges {
		r.observe(1, body)
		agenttest.Eventually(t, "there is room", func() bool { return r.agent.budget.Used() < r.agent.budget.Usage().BufferLimit*3/4 })
	}
	agenttest.Eventually(t, "the spool has made room", func() bool { return r.ledger().Dropped[ledger.ReasonOverflow] > exchanges/2 })
	r.spooledOrExposed()
	r.Sink.Recover()
	s := r.settled()
	closes(t, s)
	came := places(r.Sink.Events(), r.agent.instance)
	if lost := s.Dropped[ledger.ReasonOverflow]; s.DroppedTotal() != lost || int(lost) != exchanges-len(came) || s.Delivered != uint64(len(came)) {
		t.Errorf("%d of %d events came, the ledger says %+v", len(came), exchanges, s)
	}
	if came[exchanges] != 1 {
		t.Error("the newest made room")
	}
}

// spooledOrExposed waits until nothing is on its way to the disk.
func (r *rig) spooledOrExposed() {
	r.t.Helper()
	agenttest.Eventually(r.t, "everything that waited is spooled", func() bool {
		s := r.ledger()
		return s.Spooled >= s.Observed-2
	})
}

// TestFullSpoolKeepsTheNewestInMemory, and is dropped for the budget
// where that is full, too.
func TestFullSpoolKeepsTheNewestInMemory(t *testing.T) {
	r := newRig(t, down(t), spooling(filepath.Join(t.TempDir(), "s"), spool.MinLimit),
		agenttest.With("--sink.default.spool-when-full=newest", "--buffer-bytes=1048576", "--mode=request"))
	body := `"` + strings.Repeat("x", 20_000) + `"`
	r.observe(3, body)
	r.spooled(2)
	const exchanges = 80
	r.observe(exchanges-3, body)
	agenttest.Eventually(t, "the spool is full", func() bool { return r.spool("default").RefusedFull > 0 })
	r.Sink.Recover()
	s := r.settled()
	closes(t, s)
	came := places(r.Sink.Events(), r.agent.instance)
	if lost := s.Dropped[ledger.ReasonBudget]; s.DroppedTotal() != lost || lost == 0 || int(lost) != exchanges-len(came) || came[1] != 1 {
		t.Errorf("%d of %d events came, the ledger says %+v", len(came), exchanges, s)
	}
}

// TestPoisonEventIsDroppedThroughTheSpool: what a sink fails for again and again is given
// up, and holds up nothing that comes from the disk.
func TestPoisonEventIsDroppedThroughTheSpool(t *testing.T) {
	r := newRig(t, down(t), spooling(filepath.Join(t.TempDir(), "s"), 16<<20))
	var poison sync.Map
	r.Sink.Respond(func(attempt agenttest.Attempt, w http.ResponseWriter, _ *http.Request) {
		if sequence := attempt.Event.Attribute("agentsequence"); sequence == "000000000003" {
			poison.Store(sequence, true)
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	n := r.observe(10, "{}")
	r.spooled(n)
	r.Sink.Recover()
	agenttest.Eventually(t, "all but one have come", func() bool { return len(places(r.Sink.Events(), r.agent.instance)) == n-1 })
	// Others succeed while it fails.
	agenttest.Eventually(t, "it is given up", func() bool {
		r.observe(1, "{}")
		return r.ledger().Dropped[ledger.ReasonPoison] == 1
	})
	closes(t, r.settled())
	if _, tried := poison.Load("000000000003"); !tried {
		t.Error("it was never tried")
	}
}

// TestEachSinkHasItsOwnSpool: one that is down keeps what the other had.
func TestEachSinkHasItsOwnSpool(t *testing.T) {
	directory := t.TempDir()
	down, other := agenttest.NewSink(t, agenttest.Down), agenttest.NewSink(t, agenttest.Down)
	r := newRig(t, spooling(filepath.Join(directory, "a"), 1<<20), agenttest.With("--sink=default="+down.URL, "--sink=other="+other.URL,
		"--sink.other.spool-dir="+filepath.Join(directory, "b"), "--sink.other.spool-bytes=1000000"))
	n := r.observe(5, "{}")
	r.spooled(n)
	agenttest.Eventually(t, "the other sink's events are on the disk", func() bool { return r.spool("other").SpooledThrough >= uint64(n) })
	other.Recover()
	if got := len(places(other.Await(n), r.agent.instance)); got != n {
		t.Errorf("%d of %d events came", got, n)
	}
	if got := len(down.Events()); got != 0 {
		t.Errorf("%d events came to a sink that is down", got)
	}
	down.Recover()
	if got := len(places(down.Await(n), r.agent.instance)); got != n {
		t.Errorf("%d of %d events came", got, n)
	}
}

// TestSpoolIsReadWhenTheModelIsReady: a cold start has its processor for
// itself.
func TestSpoolIsReadWhenTheModelIsReady(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "s")
	sink := agenttest.NewSink(t, agenttest.Down)
	options := []agenttest.Option{spooling(directory, 16<<20), agenttest.To(sink)}
	first := newRig(t, options...)
	n := first.observe(5, "{}")
	first.spooled(n)
	first.Kill()

	sink.Recover()
	var ready atomic.Bool
	model := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ready" && !ready.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		agenttest.Predictor().ServeHTTP(w, r)
	})
	target := agenttest.Serve(t, model)
	probe := fmt.Sprintf(`--readiness-probe={"httpGet":{"path":"/ready","port":%s},"periodSeconds":1}`, target.Port())
	second := newRig(t, append(options, agenttest.With(probe))...)
	second.observe(1, "{}")
	sink.Await(2)
	if status := second.spool("default"); !status.Unread || status.Read != 0 {
		t.Errorf("the spool says %+v", status)
	}
	ready.Store(true)
	sink.Await(2 + n)
}

// TestDrainReadsTheSpool of an earlier agent, however long that takes, and
// where the model never became ready.
func TestDrainReadsTheSpool(t *testing.T) {
	sink := agenttest.NewSink(t, agenttest.Down)
	options := []agenttest.Option{spooling(filepath.Join(t.TempDir(), "s"), 16<<20), agenttest.To(sink)}
	first := newRig(t, options...)
	n := first.observe(50, "{}")
	first.spooled(n)
	first.Kill()

	slow := &brokenDirectory{hangReads: make(chan struct{})}
	second := newRigIn(t, breaking(slow), append(options, agenttest.With(`--readiness-probe={"tcpSocket":{"port":1}}`))...)
	agenttest.Eventually(t, "the spool is open", func() bool { return second.spool("default").Open })
	second.Signal(syscall.SIGTERM)
	sink.Recover()
	agenttest.Eventually(t, "its port is closed", func() bool { return !second.Listens() })
	close(slow.hangReads)
	second.Wait()
	came := sink.Events()
	if old := len(places(came, first.agent.instance)); old != n {
		t.Errorf("of %d events that were recovered %d came before the end", n, old)
	}
	if s := second.ledger(); s.Recovered != uint64(n) || s.Delivered != uint64(n) {
		t.Errorf("the ledger says %+v", s)
	}
}

// TestDamagedSpoolStartsTheAgent: garbage is left alone, and what was damaged
// is counted.
func TestDamagedSpoolStartsTheAgent(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "s")
	sink := agenttest.NewSink(t, agenttest.Down)
	options := []agenttest.Option{spooling(directory, 16<<20), agenttest.To(sink)}
	first := newRig(t, options...)
	n := first.observe(10, "{}")
	first.spooled(n)
	first.Kill()

	files, err := filepath.Glob(filepath.Join(directory, "*.segment"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	content, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 1
	for name, bytes := range map[string][]byte{
		filepath.Base(files[0]): content, "notes.txt": []byte("hello"), "ffffffffffffffff.segment": []byte("x"), "mark": []byte("?"),
	} {
		if err := os.WriteFile(filepath.Join(directory, name), bytes, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sink.Recover()
	second := newRig(t, options...)
	live := second.observe(1, "{}")
	agenttest.Eventually(t, "the spool was read", func() bool { return second.agent.spoolsEmpty() && second.spool("default").Open })
	s := second.settled()
	closes(t, s)
	came := places(sink.Events(), first.agent.instance)
	if len(came) == 0 || len(came) >= n || s.Delivered != uint64(len(came)+live) {
		t.Errorf("%d of %d events came, the ledger says %+v", len(came), n, s)
	}
	if _, err := os.Stat(filepath.Join(directory, "notes.txt")); err != nil {
		t.Errorf("a file that is nobody's: %v", err)
	}
}

// TestUnusableSpoolDirectoryStopsNothing.
func TestUnusableSpoolDirectoryStopsNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for directory, class := range map[string]delivery.SpoolFailure{
		filepath.Join(t.TempDir(), "missing", "s"): delivery.FailureMissing,
		file: delivery.FailureIO,
	} {
		r := newRig(t, spooling(directory, 1<<20))
		r.observe(3, "{}")
		r.Sink.Await(6)
		agenttest.Eventually(t, "the status says so", func() bool {
			status := r.spool("default")
			return !status.Open && status.Failing && status.LastFailure == class && status.Errors > 0
		})
		if count := strings.Count(r.Logs.String(), "the spool fails"); count != 1 {
			t.Errorf("the log says so %d times", count)
		}
		r.Kill()
	}
}

// brokenDirectory is one whose writes fail or hang.
type brokenDirectory struct {
	delivery.SpoolDirectory
	err error
	// hang holds each write until it is closed, and hangReads each read.
	hang, hangReads chan struct{}
}

func (d *brokenDirectory) Open(name string, write bool) (spool.File, error) {
	if d.hangReads != nil && !write {
		<-d.hangReads
	}
	return d.SpoolDirectory.Open(name, write)
}

func (d *brokenDirectory) Create(name string) (spool.File, error) {
	if d.hang != nil {
		<-d.hang
	}
	if d.err != nil {
		return nil, d.err
	}
	return d.SpoolDirectory.Create(name)
}

func breaking(broken *brokenDirectory) Environment {
	return Environment{OpenSpool: func(path string) (delivery.SpoolDirectory, error) {
		directory, err := spool.OpenDirectory(path)
		broken.SpoolDirectory = directory
		return broken, err
	}}
}

// countedDirectory counts what is synced.
type countedDirectory struct {
	delivery.SpoolDirectory
	files, directories *atomic.Int64
}

func (d countedDirectory) Create(name string) (spool.File, error) {
	file, err := d.SpoolDirectory.Create(name)
	return countedFile{file, d.files}, err
}

func (d countedDirectory) SyncDirectory() error {
	d.directories.Add(1)
	return d.SpoolDirectory.SyncDirectory()
}

type countedFile struct {
	spool.File
	syncs *atomic.Int64
}

func (f countedFile) Sync() error {
	f.syncs.Add(1)
	return f.File.Sync()
}

// TestSpoolSyncFollowsItsArgument, before the status says that events are
// on the disk, and never otherwise.
func TestSpoolSyncFollowsItsArgument(t *testing.T) {
	for _, asked := range []bool{false, true} {
		t.Run(strconv.FormatBool(asked), func(t *testing.T) {
			var files, directories atomic.Int64
			environment := Environment{OpenSpool: func(path string) (delivery.SpoolDirectory, error) {
				directory, err := spool.OpenDirectory(path)
				return countedDirectory{directory, &files, &directories}, err
			}}
			r := newRigIn(t, environment, down(t), spooling(filepath.Join(t.TempDir(), "s"), 1<<20),
				agenttest.With("--sink.default.spool-sync="+strconv.FormatBool(asked)))
			r.spooled(r.observe(1, "{}"))
			if synced := files.Load() > 0 && directories.Load() > 0; synced != asked || !asked && files.Load()+directories.Load() > 0 {
				t.Errorf("files were synced %d times, the directory %d times", files.Load(), directories.Load())
			}
			r.Kill()
		})
	}
}

func TestFullDiskStopsNothing(t *testing.T) {
	r := newRigIn(t, breaking(&brokenDirectory{err: syscall.ENOSPC}), down(t), spooling(filepath.Join(t.TempDir(), "s"), 1<<20))
	n := r.observe(10, "{}")
	agenttest.Eventually(t, "the status says so", func() bool {
		status := r.spool("default")
		return status.Failing && status.LastFailure == delivery.FailureDiskFull && status.SpooledThrough == 0
	})
	r.Sink.Recover()
	s := r.settled()
	if s.Delivered != uint64(n) || s.Spooled != 0 || len(places(r.Sink.Events(), r.agent.instance)) != n {
		t.Errorf("the ledger says %+v", s)
	}
}

// TestHangingDiskDelaysNothing but the events that are on their way to it,
// and those not beyond the end.
func TestHangingDiskDelaysNothing(t *testing.T) {
	broken := &brokenDirectory{hang: make(chan struct{})}
	r := newRigIn(t, breaking(broken), down(t), spooling(filepath.Join(t.TempDir(), "s"), 1<<20), agenttest.With("--drain-timeout=2s"))
	n := r.observe(100, "{}")
	agenttest.Eventually(t, "as many events as may are on their way to the disk", func() bool {
		// One that waits for so long found no room there.
		oldest := r.agent.sinks[0].Oldest()
		return !oldest.IsZero() && time.Since(oldest) > 5*time.Second
	})
	r.Sink.Recover()
	live := r.observe(10, "{}")
	agenttest.Eventually(t, "the live events have arrived", func() bool {
		arrived := places(r.Sink.Events(), r.agent.instance)
		for place := n + 1; place <= n+live; place++ {
			if arrived[place] == 0 {
				return false
			}
		}
		return true
	})
	if status := r.spool("default"); status.SpooledThrough >= uint64(n) || status.Spooled != 0 {
		t.Errorf("the disk has nothing, and the status says %+v", status)
	}
	r.Signal(syscall.SIGTERM)
	r.Wait()
	close(broken.hang)
	s := r.ledger()
	if held := s.Dropped[ledger.ReasonShutdown]; held == 0 || held >= uint64(n) || s.Delivered+held != uint64(n+live) || s.Pending != 0 {
		t.Errorf("the ledger says %+v", s)
	}
	if !strings.Contains(r.Logs.String(), "a spool's disk does not respond") {
		t.Error("the log doesn't say so")
	}
}
