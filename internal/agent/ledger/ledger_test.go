/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package ledger

import (
	"math/rand/v2"
	"os"
	"reflect"
	"regexp"
	"sync"
	"testing"
)

// balanced reports whether every event of a snapshot is accounted for.
func balanced(s Snapshot) bool {
	return s.Observed+s.Recovered == s.Delivered+s.DroppedTotal()+s.DeadLettered+s.Pending
}

func TestEverySnapshotBalances(t *testing.T) {
	account := new(Account)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 500 {
				account.Observe()
				account.Recover(2)
				account.Retry()
				account.Spool()
				for _, end := range []func(){
					account.Deliver, account.DeadLetter, func() { account.Drop(Reasons()[rand.IntN(len(Reasons()))]) },
				} {
					end()
					if s := account.Snapshot(); !balanced(s) {
						t.Errorf("unbalanced: %+v", s)
					}
				}
			}
		})
	}
	group.Wait()
	s := account.Snapshot()
	if s.Pending != 0 || s.Observed != 2000 || s.Recovered != 4000 || s.Delivered != 2000 || s.DeadLettered != 2000 || s.DroppedTotal() != 2000 ||
		s.Retried != 2000 || s.Spooled != 2000 {
		t.Errorf("the counts are %+v", s)
	}
}

func TestObserveNumbersEventsFromOne(t *testing.T) {
	account := new(Account)
	if first, second := account.Observe(), account.Observe(); first != 1 || second != 2 {
		t.Errorf("the events are numbered %d and %d", first, second)
	}
}

func TestAStatementCountsItself(t *testing.T) {
	account := new(Account)
	account.Observe()
	account.Deliver()
	if s := account.ObserveStatement(); s.Observed != 2 || s.Delivered != 1 || s.Pending != 1 {
		t.Errorf("the statement says %+v", s)
	}
}

func TestDroppingNothingAddsNoReason(t *testing.T) {
	account := new(Account)
	account.DropAll(0, ReasonShutdown)
	if s := account.Snapshot(); len(s.Dropped) != 0 {
		t.Errorf("the counts are %+v", s)
	}
}

func TestASnapshotDoesNotChange(t *testing.T) {
	account, skips := new(Account), new(Skips)
	account.Recover(2)
	account.Drop(ReasonBudget)
	skips.Skip(SkipLoop)
	skips.SkipEvent("response")
	before, skipped := account.Snapshot(), skips.Snapshot()
	account.Drop(ReasonBudget)
	skips.Skip(SkipLoop)
	skips.SkipEvent("response")
	if before.Dropped[ReasonBudget] != 1 || skipped.Exchanges[SkipLoop] != 1 || skipped.Events["response"] != 1 {
		t.Errorf("the snapshots became %+v and %+v", before, skipped)
	}
}

func TestProbesAndOtherPathsAreNotSkippedInference(t *testing.T) {
	skips := new(Skips)
	for _, reason := range SkipReasons() {
		skips.Skip(reason)
	}
	skips.SkipEvent("request")
	skips.SkipEvent("response")
	if got := skips.Snapshot().OfInference(); got != 4 {
		t.Errorf("%d skipped, want the loop, what sampling left out and two events", got)
	}
}

func TestTheListsOfReasonsAreComplete(t *testing.T) {
	source, err := os.ReadFile("ledger.go")
	if err != nil {
		t.Fatal(err)
	}
	declared := make(map[string][]string)
	for _, match := range regexp.MustCompile(`\t\w+ +(Reason|SkipReason) = "(\w+)"`).FindAllStringSubmatch(string(source), -1) {
		declared[match[1]] = append(declared[match[1]], match[2])
	}
	listed := make(map[string][]string)
	for _, reason := range Reasons() {
		listed["Reason"] = append(listed["Reason"], string(reason))
	}
	for _, reason := range SkipReasons() {
		listed["SkipReason"] = append(listed["SkipReason"], string(reason))
	}
	if !reflect.DeepEqual(listed, declared) {
		t.Errorf("listed are %v, declared are %v", listed, declared)
	}
}
