/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package spool

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

var killsFlag = flag.Int("spool.kills", 200, "how often TestKill kills a process")

const (
	childVariable = "SPOOL_TEST_CHILD"
	// childPatience is how long a child that nobody kills goes on.
	childPatience = time.Minute
)

// TestMain is a process to be killed, where it is told so, and otherwise finds
// goroutines that outlive the tests.
func TestMain(m *testing.M) {
	if arguments, ok := os.LookupEnv(childVariable); ok {
		if err := spoolUntilKilled(strings.Fields(arguments)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	goleak.VerifyTestMain(m)
}

func killOptions(synced bool) Options {
	return Options{Limit: 64 << 20, SegmentBytes: 128 << 10, Sync: synced}
}

// spoolUntilKilled appends records to a directory, reads and acknowledges
// some, and reports what it knows, a line each:
//
//	s <id> <sequence>  the record is spooled
//	a <sequence>       it is going to be acknowledged
//	m <sequence>       the mark covers everything up to here
//	w <sequence>       the watermark
func spoolUntilKilled(arguments []string) error {
	path, synced := arguments[0], arguments[1] == "true"
	firstID, err := strconv.ParseUint(arguments[2], 10, 64)
	if err != nil {
		return err
	}
	directory, err := OpenDirectory(path)
	if err != nil {
		return err
	}
	log, err := Open(directory, killOptions(synced))
	if err != nil {
		return err
	}
	s := New(log, 1<<20)
	running, stop := context.WithTimeout(context.Background(), childPatience)
	defer stop()
	var reporting sync.Mutex
	report := func(format string, values ...any) {
		reporting.Lock()
		defer reporting.Unlock()
		// One write each, so that a kill cuts off whole lines, or the last.
		_, _ = fmt.Fprintf(os.Stdout, format+"\n", values...)
	}
	var working sync.WaitGroup
	working.Go(func() { _ = s.Run(running) })
	working.Go(func() {
		random := rand.New(rand.NewPCG(firstID, 0))
		for id := firstID; running.Err() == nil; {
			appended := id
			taken := s.Append(recordOf(id, size(random)), func(outcome Outcome) {
				if outcome.Err == nil {
					report("s %d %d", appended, outcome.Sequence)
				}
			})
			if taken != nil {
				time.Sleep(100 * time.Microsecond)
				continue
			}
			id++
		}
	})
	working.Go(func() {
		random := rand.New(rand.NewPCG(firstID, 1))
		read := make(chan []Spooled, 1)
		for running.Err() == nil {
			if s.Read(End(random.IntN(2)), 16, 1<<20, func(records []Spooled, _ error) { read <- records }) != nil {
				break
			}
			for _, record := range <-read {
				if random.IntN(8) > 0 {
					report("a %d", record.Sequence)
					s.Acknowledge(record.Sequence)
				}
			}
			stats := s.Stats()
			report("m %d", stats.Mark)
			report("w %d", stats.Watermark)
		}
	})
	working.Wait()
	return nil
}

// P2 and P3 with real processes on a real disk: whatever a process reported as
// spooled before a SIGKILL, its successor finds.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	chosen := seed(t)
	random := rand.New(rand.NewPCG(chosen, 0))
	path := t.TempDir() + "/spool"
	w := newWitness()
	nextID, reports, watermarks, found := uint64(1), 0, 0, 0
	begun := time.Now()
	for kill := range *killsFlag {
		synced := random.IntN(4) == 0
		lines := killedChild(t, path, synced, nextID, time.Duration(random.Int64N(int64(20*time.Millisecond))))
		reports += len(lines)
		nextID += 1 << 20
		watermarks += w.hear(t, lines)

		directory, err := OpenDirectory(path)
		if err != nil {
			t.Fatal(err)
		}
		options := killOptions(synced)
		options.OnLoss = w.onLoss
		log, err := Open(directory, options)
		if err != nil {
			t.Fatal(err)
		}
		w.begin()
		if err := w.auditKilled(log, random, nextID); err != nil {
			t.Fatalf("seed %d, kill %d: %v", chosen, kill, err)
		}
		found += len(w.returned)
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
		w.keep(log.Stats().Mark)
		if err := directory.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d kills, %d reports, %d watermarks, %d records read back, %s",
		*killsFlag, reports, watermarks, found, time.Since(begun).Round(time.Millisecond))
	if found == 0 {
		t.Error("no record was ever found: the children were killed too early")
	}
}

// killedChild starts a process that spools, kills it some time after its first
// report, and gives what it reported.
func killedChild(t *testing.T, path string, synced bool, firstID uint64, after time.Duration) []string {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(binary)
	child.Env = append(os.Environ(), fmt.Sprintf("%s=%s %t %d", childVariable, path, synced, firstID))
	child.Stderr = os.Stderr
	output, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(output)
	first, err := reader.ReadString('\n')
	if err != nil {
		t.Fatalf("the child reported nothing: %v", err)
	}
	killed := time.AfterFunc(after, func() { _ = child.Process.Signal(syscall.SIGKILL) })
	defer killed.Stop()
	rest, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	if status, ok := child.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Fatalf("the child ended by itself: %s", child.ProcessState)
	}
	whole := first + string(rest)
	return strings.Split(whole[:strings.LastIndexByte(whole, '\n')], "\n")
}

// hear notes what a child reported, and counts the watermarks.
func (w *witness) hear(t *testing.T, lines []string) (watermarks int) {
	t.Helper()
	acknowledged := map[uint64]bool{}
	mark := uint64(0)
	for _, line := range lines {
		var id, sequence uint64
		switch line[0] {
		case 's':
			if _, err := fmt.Sscanf(line, "s %d %d", &id, &sequence); err != nil {
				t.Fatal(err)
			}
			w.records[id] = &witnessed{sequence: sequence, spooled: true}
		case 'a':
			if _, err := fmt.Sscanf(line, "a %d", &sequence); err != nil {
				t.Fatal(err)
			}
			acknowledged[sequence] = true
		case 'm':
			if _, err := fmt.Sscanf(line, "m %d", &sequence); err != nil {
				t.Fatal(err)
			}
			mark = max(mark, sequence)
		case 'w':
			watermarks++
		}
	}
	for _, record := range w.records {
		if acknowledged[record.sequence] {
			record.acknowledged = true
		}
	}
	w.keep(mark)
	return watermarks
}

// keep notes a mark: what it covers is known by that alone from now on.
func (w *witness) keep(mark uint64) {
	w.mark = max(w.mark, mark)
	for id, record := range w.records {
		if record.acknowledged && record.sequence <= w.mark {
			delete(w.records, id)
		}
	}
}

// auditKilled reads all, and acknowledges all of it or a part.
func (w *witness) auditKilled(log *Log, random *rand.Rand, nextID uint64) error {
	all := random.IntN(2) == 0
	for {
		read, ok, err := log.Next(Oldest)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		id, err := identify(read.Record)
		if err != nil {
			return err
		}
		if read.Sequence <= w.mark || id >= nextID {
			return fmt.Errorf("record %d came back as %d, and the mark was kept at %d", id, read.Sequence, w.mark)
		}
		record := w.records[id]
		if record == nil {
			// It was spooled, and the report of it never left.
			record = &witnessed{sequence: read.Sequence, spooled: true}
			w.records[id] = record
		}
		switch {
		case w.returned[id]:
			return fmt.Errorf("record %d came back twice", id)
		case record.sequence != read.Sequence:
			return fmt.Errorf("record %d was spooled as %d and came back as %d", id, record.sequence, read.Sequence)
		}
		w.returned[id] = true
		if all || random.IntN(10) > 0 {
			w.acknowledge(log, read)
		}
	}
	for id, record := range w.records {
		if record.spooled && !record.acknowledged && !record.lost && !w.returned[id] {
			return fmt.Errorf("record %d was spooled as %d and didn't come back", id, record.sequence)
		}
	}
	stats := log.Stats()
	if lost := stats.Lost.Fresh + stats.Lost.Recovered; lost > 0 || stats.Errors > 0 {
		return fmt.Errorf("%d records are counted as lost, and %d errors", lost, stats.Errors)
	}
	return nil
}
