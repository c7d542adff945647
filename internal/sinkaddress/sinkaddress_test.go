/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package sinkaddress

import (
	"errors"
	"net/url"
	"strings"
	"testing"
)

func TestAddressFileContent(t *testing.T) {
	const broker = "http://broker-ingress.knative-eventing.svc.cluster.local/models/default"
	for content, want := range map[string]struct {
		url, audience, says string
	}{
		`{"url":"` + broker + `"}`:                     {url: broker},
		`{"url":"` + broker + `","audience":"a"}`:      {url: broker, audience: "a"},
		`{"url":"https://broker","later":{"field":1}}`: {url: "https://broker"},
		`{}`:                                 {},
		`{"url":"","audience":"a"}`:          {},
		``:                                   {says: "not a JSON object"},
		`null`:                               {says: "not a JSON object"},
		`[]`:                                 {says: "not a JSON object"},
		`{"url":1}`:                          {says: "not a JSON object"},
		`{"url":"` + broker:                  {says: "not a JSON object"},
		`{"url":"ftp://broker"}`:             {says: ErrNoURL.Error()},
		`{"url":"broker"}`:                   {says: ErrNoURL.Error()},
		`{"url":"http://"}`:                  {says: ErrNoURL.Error()},
		`{"url":"http://me:hunter2@broker"}`: {says: ErrUser.Error()},
		`{"url":"http://broker#hunter2"}`:    {says: ErrFragment.Error()},
		`{"url":"http://broker/%zz?token=hunter2"}`: {says: ErrNoURL.Error()},
	} {
		got, err := Parse([]byte(content))
		if want.says != "" {
			if err == nil || !strings.Contains(err.Error(), want.says) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: it says %v, want %q and nothing of the content", content, err, want.says)
			}
			continue
		}
		text := ""
		if got.URL != nil {
			text = got.URL.String()
		}
		if err != nil || text != want.url || got.Audience != want.audience {
			t.Errorf("%s: %q for %q, %v, want %q for %q", content, text, got.Audience, err, want.url, want.audience)
		}
	}
}

func FuzzTheFileRoundTrips(f *testing.F) {
	f.Add("https://broker.example/a?b=c%20d", "eventing.knative.dev/broker/models/default")
	f.Add("http://[::1%25eth0]:80/%2f", "")
	f.Add("http://0?\x80", "")
	f.Fuzz(func(t *testing.T, text, audience string) {
		parsed, err := ParseURL(text)
		if err != nil {
			if !errors.Is(err, ErrNoURL) && !errors.Is(err, ErrUser) && !errors.Is(err, ErrFragment) {
				t.Fatalf("it says %v", err)
			}
			return
		}
		// What url.Parse takes in one form it writes in another, once.
		again, err := url.Parse(parsed.String())
		if err != nil {
			return
		}
		got, err := Parse(Address{URL: again, Audience: audience}.Marshal())
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if got.URL.String() != again.String() {
			t.Fatalf("%q came back as %q", again, got.URL)
		}
	})
}
