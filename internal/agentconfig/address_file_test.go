/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agentconfig

import (
	"strings"
	"testing"
)

func TestAnAddressFileMakesASink(t *testing.T) {
	given, err := Parse([]string{
		"--sink.default.token-file=/token", "--sink.default.token-audience=own", "--sink.default.address-file=/address",
		"--sink.default.dead-letter.address-file=/letters", "--sink.default.dead-letter.token-audience=theirs",
		"--sink=other=http://other.svc", "--sink.other.address-file=/other",
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(given.Sinks) != 2 {
		t.Fatalf("sinks: %+v", given.Sinks)
	}
	other, sink := given.Sinks[0], given.Sinks[1]
	if sink.Name != "default" || sink.Stdout() || sink.URL != nil || sink.AddressFile != "/address" || sink.TokenFile != "/token" || sink.TokenAudience != "own" {
		t.Errorf("got %+v", sink)
	}
	if letters := sink.DeadLetter; letters.AddressFile != "/letters" || letters.URL != nil || letters.TokenAudience != "theirs" {
		t.Errorf("got %+v", letters)
	}
	if other.URL.Host != "other.svc" || other.AddressFile != "/other" {
		t.Errorf("got %+v", other)
	}
}

func TestAnAddressFileIsRefusedWhereItMeansNothing(t *testing.T) {
	for line, says := range map[string]string{
		"--sink=stdout --sink.default.address-file=/a":             "the standard output can't have an address",
		"--sink=http://a --sink.default.dead-letter.token-file=/t": "missing dead letter sink",
		"--sink.default.token-audience=own":                        "unknown sink",
	} {
		if _, err := Parse(strings.Fields(line)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", line, err, says)
		}
	}
}
