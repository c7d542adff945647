/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package receiver lets a subscriber count the events that it didn't get. It
// needs only the events that the subscriber got.
//
// An agent numbers its events to a sink from 1 (agentsequence), under a random
// name for each of its starts (agentinstance), before anything can be lost. So
// a gap below the highest number that arrived is an event that hasn't arrived.
// If logger.events selects ledger events, these add the agent's own counts: how
// many events were dropped, for which reason, and how many are pending. The
// final one says that no higher number exists.
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
// A subscriber can't know whether a missing event will still arrive: the agent
// tries it for 10 minutes, and a later start of the agent may deliver a spooled
// one, under its old name and number. Nor can it know the events after the
// highest number that arrived, unless that was the final ledger event's: the
// tail of a killed agent leaves no gap.
//
// Pass a tally every event that one sink gets, because each sink has its own
// numbers. Events that the filter of a Trigger hides are gaps here. Use one
// tally for each sink.
package receiver
