/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package sinkaddress is the format of the mounted file in which the control
// plane gives a running agent the address of a sink. Both sides validate an
// address by the same rules.
package sinkaddress

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"unicode/utf8"
)

// What is wrong with a URL. None of them quotes it: a query may be a secret.
var (
	ErrNoURL    = errors.New("it is not an absolute http or https URL")
	ErrUser     = errors.New("it contains credentials")
	ErrFragment = errors.New("it has a fragment, which is never sent")
)

// Address is where a sink is now.
type Address struct {
	// URL is nil if the sink has no address, or an invalid one. Nothing is sent
	// then.
	URL *url.URL
	// Audience is that of the token which the sink asks for, or "".
	Audience string
}

// file is the form of an Address. Names are kept once released.
type file struct {
	URL      string `json:"url,omitempty"`
	Audience string `json:"audience,omitempty"`
}

// ParseURL reads the URL of a sink. It refuses text that is not UTF-8, because
// the file could not carry it unchanged.
func ParseURL(text string) (*url.URL, error) {
	parsed, err := url.Parse(text)
	switch {
	case err != nil, !utf8.ValidString(text), parsed.Scheme != "http" && parsed.Scheme != "https", parsed.Host == "":
		return nil, ErrNoURL
	case parsed.User != nil:
		return nil, ErrUser
	case parsed.Fragment != "":
		return nil, ErrFragment
	}
	return parsed, nil
}

// Marshal returns the content of the file.
func (a Address) Marshal() []byte {
	var content file
	if a.URL != nil {
		content = file{URL: a.URL.String(), Audience: a.Audience}
	}
	data, err := json.Marshal(content)
	if err != nil {
		panic(fmt.Sprintf("two strings have no JSON form: %v", err))
	}
	return data
}

// Parse reads the content of the file. Fields that a later control plane adds
// are ignored.
func Parse(content []byte) (Address, error) {
	var read *file
	if err := json.Unmarshal(content, &read); err != nil || read == nil {
		// The decoder's own message may quote the content.
		return Address{}, errors.New("not a JSON object with the strings url and audience")
	}
	if read.URL == "" {
		return Address{}, nil
	}
	parsed, err := ParseURL(read.URL)
	if err != nil {
		return Address{}, fmt.Errorf("url: %w", err)
	}
	return Address{URL: parsed, Audience: read.Audience}, nil
}
