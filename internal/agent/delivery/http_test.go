/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestWhereATokenMayGo(t *testing.T) {
	for text, want := range map[string]bool{
		"https://example.com":                            true,
		"http://broker-ingress.knative-eventing.svc":     true,
		"http://broker-ingress.knative-eventing.svc:80":  true,
		"http://b.ns.svc.cluster.local/ns/default":       true,
		"http://b.ns.svc.cluster.local.":                 true,
		"http://B.ns.SVC.Cluster.Local":                  true,
		"http://example.com":                             false,
		"http://b.ns.svc.evil.example":                   false,
		"http://svc":                                     false,
		"http://127.0.0.1:8080":                          false,
		"http://example.com/b.ns.svc.cluster.local":      false,
		"http://b.ns.svc.cluster.local@evil.example/":    false,
		"http://evil.example?x=b.ns.svc.cluster.local":   false,
		"http://evil.example/#.b.ns.svc.cluster.local":   false,
		"http://b.ns.svc.cluster.local.evil.example:443": false,
	} {
		parsed, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := SendsToken(parsed, "cluster.local"); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

func TestATokenGoesInTheClustersOwnDomainAlone(t *testing.T) {
	const own, other = "http://b.ns.svc.corp.example", "http://b.ns.svc.cluster.local"
	for domain, want := range map[string]map[string]bool{
		"corp.example":  {own: true, other: false, "http://b.ns.svc": true},
		"cluster.local": {own: false, other: true, "http://b.ns.svc": true},
		"":              {own: false, other: false, "http://b.ns.svc": true},
	} {
		for text, may := range want {
			parsed, err := url.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			if got := SendsToken(parsed, domain); got != may {
				t.Errorf("in the domain %q to %s: %v, want %v", domain, text, got, may)
			}
		}
	}
}

func TestTokenSource(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	source := &tokenSource{path: path}
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	if _, err := source.get(now, false); err == nil {
		t.Error("a file that isn't there gives a token")
	}
	write := func(content string) {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(at time.Time, fresh bool, want string) {
		t.Helper()
		if got, err := source.get(at, fresh); err != nil || got != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	write(" one\n")
	expect(now, false, "one")
	write("two")
	expect(now.Add(time.Second), false, "one")
	expect(now.Add(time.Second), true, "two")
	write("three")
	expect(now.Add(2*time.Minute), false, "three")
	write("a\r\nX-Injected: b")
	if _, err := source.get(now, true); err == nil {
		t.Error("a token of two lines is sent")
	}
}
