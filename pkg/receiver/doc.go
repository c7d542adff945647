/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package receiver lets a subscriber count the events that it didn't get, from
// nothing but those that it got.
//
// An agent numbers its events to a sink from 1 (agentsequence), under a random
// name for each of its starts (agentinstance), before anything can be lost. So
// a gap below the highest number that came is an event that hasn't come. A
// ledger event, where logger.events has those, adds what the agent knows: how
// many are dropped, and why, and how many are still on their way; the final
// one, that no higher number exists.
//
//	tally := receiver.NewTally(receiver.Options{})
//	handler := func(e event.Event) {
//		if err := tally.Receive(e); err != nil {
//			log.Print(err)
//		}
//	}
//	…
//	for _, report := range tally.Reports() {
//		fmt.Println(report.Stream, report.Missing, report.Reckon())
//	}
//
// What can't be known from here: whether a missing event may still come (it is
// tried for 10 minutes, and one that was spooled comes from a later start of the
// agent, under its old name and number), and what an agent observed after the
// highest number that came, unless that was the final one's: the tail of a
// killed agent leaves no gap.
//
// Feed a tally with all that one sink of the agents gets, for the numbers are
// those of a sink: a Trigger with a filter hides events, which are gaps here,
// and what two sinks got belongs into two tallies.
package receiver
