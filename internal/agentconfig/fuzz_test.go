/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agentconfig

import (
	"strings"
	"testing"
	"unicode"
)

// FuzzParse: no command line makes the agent panic, an error is one line, and
// what is accepted is within the bounds that the rest of the agent counts on and
// survives a round trip.
func FuzzParse(f *testing.F) {
	for _, line := range []string{
		"", "--help", "--port=1", "--port\n1", "--sink=stdout", "--sink=a=http://h\n--sink.a.timeout=1s",
		"--sink=http://[::1]:1/x?y#z", "--metadata=team=a=b", "--metadata=team=\x00", "--target=http://:1",
		"--sink.default.dead-letter=http://h\n--sink=http://h", "--buffer-bytes=99999999999999999999",
		"--events=request,\n--paths=!*", `--readiness-probe={"httpGet":{"port":1}}`, "--readiness-probe={", "--drain-timeout=1e9h",
		"--sink.default.retry=1000\n--sink=http://h", "--source=%zz", "---", "--=", "--sink.", "--sink..x=y", "--content-mode=auto",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, lines string) {
		// An argument that this version doesn't know is as long as it is.
		parsed, err := Parse(strings.Split(lines, "\n"))
		if err != nil {
			if message := err.Error(); message == "" || strings.ContainsFunc(message, unicode.IsControl) {
				t.Errorf("of %q: %q", lines, message)
			}
			return
		}
		if parsed.Port == 0 || parsed.AdminPort == 0 || parsed.Target == nil || parsed.ReadinessProbe == nil ||
			parsed.BufferBytes < MinBufferBytes || parsed.BufferBytes > maxBytes || parsed.MaxPayloadBytes < 1 ||
			*parsed.DrainTimeout < 0 || parsed.Source == "" {
			t.Errorf("of %q: %+v", lines, parsed)
		}
		for _, sink := range parsed.Sinks {
			if sink.Name == "" || !sink.Stdout() && sink.AddressFile == "" && (sink.URL == nil || sink.URL.Host == "" || sink.URL.User != nil) || sink.Timeout <= 0 {
				t.Errorf("of %q: %+v", lines, sink)
			}
		}
		expectRoundTrip(t, parsed, *parsed)
	})
}
