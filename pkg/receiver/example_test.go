/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package receiver_test

import (
	"fmt"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/sidenote-dev/sidenote/pkg/receiver"
)

// Events 3 and 4 never came. The final ledger event says that one was dropped
// for want of room, and that one was still on its way.
func ExampleTally() {
	tally := receiver.NewTally(receiver.Options{})

	for _, sequence := range []string{"000000000002", "000000000001", "000000000002", "000000000005"} {
		e := event.New()
		e.SetID("some-id-" + sequence)
		e.SetType("io.kubeflow.serving.inference.request")
		e.SetSource("my-model-predictor-default")
		e.SetExtension("agentinstance", "e5535dad-c04e-486d-a650-a1fad25cd045")
		e.SetExtension("agentsequence", sequence)
		if sequence == "000000000005" {
			e.SetType(receiver.LedgerType)
			_ = e.SetData("application/json", []byte(`{
				"agentinstance": "e5535dad-c04e-486d-a650-a1fad25cd045", "sink": "default", "sequence": 5, "final": true,
				"observed": 5, "delivered": 2, "dropped": {"budget": 1}, "deadLettered": 0, "pending": 2}`))
		}
		if err := tally.Receive(e); err != nil {
			fmt.Println(err)
		}
	}

	for _, report := range tally.Reports() {
		fmt.Println("events:", report.Seen, "missing:", report.Ranges, "ended:", report.Ended)
		fmt.Println(report.Reckon())
	}
	// Output:
	// events: 3 missing: [{3 4}] ended: true
	// 2 missing: 1 lost, 1 open, 0 unexplained, 0 unexpected
}
