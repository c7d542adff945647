/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"fmt"
	"runtime/debug"
	"strings"
	"testing"

	"go.uber.org/zap/zapcore"

	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// FuzzServerLog: of what net/http's servers write nothing but the stack of a
// panic goes on, whatever a client has put into the line.
func FuzzServerLog(f *testing.F) {
	for _, text := range []string{
		"", "x", "http: panic serving ", "a\nb", "a\r\n\tb", "\ngoroutine 1 [running]:\n",
		"goroutine 7 [running]:", "\x00\xff", "%s%d", "panic serving 1.2.3.4:5: ", "\n\n",
	} {
		f.Add(text)
	}
	const canary = "canary4711"
	f.Fuzz(func(t *testing.T, text string) {
		said := canary + text + canary
		for _, line := range []string{
			// The lines that net/http writes with something of a client in them.
			"http: panic serving 127.0.0.1:4711: " + said + "\n" + string(debug.Stack()),
			"http2: panic serving 127.0.0.1:4711: " + said + "\n" + string(debug.Stack()),
			fmt.Sprintf("http: invalid header %q", said),
			"http: URL query contains semicolon " + said,
			"http2: server connection error from 127.0.0.1:4711: " + said,
		} {
			logs := new(agenttest.Buffer)
			serverLog(NewLogger(logs, zapcore.DebugLevel)).Print(line)
			if strings.Contains(logs.String(), canary) {
				t.Fatalf("%q became %s", line, logs)
			}
			if strings.Contains(line, "panic serving 127") && !strings.Contains(logs.String(), "FuzzServerLog") {
				t.Fatalf("the stack of %q is lost: %s", line, logs)
			}
		}
	})
}
