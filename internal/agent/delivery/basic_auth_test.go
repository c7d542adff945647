/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/delivery"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// basicAuthDir is a directory as a mounted Secret is, and a function that replaces
// its content.
func basicAuthDir(t *testing.T) (directory string, write func(username, password string)) {
	t.Helper()
	directory = t.TempDir()
	return directory, func(username, password string) {
		for name, content := range map[string]string{"username": username, "password": password} {
			if err := os.WriteFile(filepath.Join(directory, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// basicAuth is what net/http reads of the header.
func basicAuth(e agenttest.Event) string {
	username, password, ok := (&http.Request{Header: e.Header}).BasicAuth()
	if !ok {
		return e.Header.Get("Authorization")
	}
	return username + " " + password
}

// TestAPasswordIsReadAgainOn401: a colon belongs to the password, and the line end
// of a file to nothing.
func TestAPasswordIsReadAgainOn401(t *testing.T) {
	directory, write := basicAuthDir(t)
	write("audit\n", "old\n")
	certificate, authority := agenttest.NewCertificate(t, time.Now().Add(time.Hour))
	responding, sent := recording(basicAuth, func(_ agenttest.Attempt, w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != "n:e w" {
			write("audit", "n:e w")
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	counts := deliverTo(t, agenttest.NewSink(t, agenttest.OverTLS(certificate), responding), func(o *delivery.HTTPOptions) {
		o.CACerts, o.BasicAuthDir = []byte(authority), directory
	})
	if counts.Delivered != 1 || counts.Retried != 0 {
		t.Errorf("the ledger says %+v", counts)
	}
	if got := sent(); !slices.Equal(got, []string{"audit old", "audit n:e w"}) {
		t.Errorf("sent: %q", got)
	}
}

func TestAPasswordNeverGoesToAnOpenSink(t *testing.T) {
	directory, write := basicAuthDir(t)
	write("audit", "secret")
	responding, sent := recording(basicAuth, agenttest.Accept)
	counts := deliverTo(t, agenttest.NewSink(t, responding), func(o *delivery.HTTPOptions) { o.BasicAuthDir = directory })
	if got := sent(); counts.Delivered != 1 || !slices.Equal(got, []string{""}) {
		t.Errorf("sent: %q, the ledger says %+v", got, counts)
	}
}

// TestWithoutAPasswordNothingIsSent: what the files can't give doesn't go out half.
func TestWithoutAPasswordNothingIsSent(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"no password":   {"username": "audit"},
		"no username":   {"password": "secret"},
		"a colon":       {"username": "a:b", "password": "secret"},
		"an empty name": {"username": "\n", "password": "secret"},
		"too long":      {"username": "audit", "password": strings.Repeat("x", 4<<10)},
	} {
		t.Run(name, func(t *testing.T) {
			directory := t.TempDir()
			for file, content := range files {
				if err := os.WriteFile(filepath.Join(directory, file), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			certificate, authority := agenttest.NewCertificate(t, time.Now().Add(time.Hour))
			responding, sent := recording(basicAuth, agenttest.Accept)
			where, err := url.Parse(agenttest.NewSink(t, agenttest.OverTLS(certificate), responding).URL)
			if err != nil {
				t.Fatal(err)
			}
			sender, err := delivery.NewHTTPSender(delivery.HTTPOptions{
				URL: where, AllowLoopback: true,
				CACerts: []byte(authority), BasicAuthDir: directory,
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(sender.Close)
			if got := sender.Send(t.Context(), anEvent(t), 1); got.Status != 0 || len(sent()) > 0 {
				t.Errorf("%+v, sent: %q", got, sent())
			}
		})
	}
}
