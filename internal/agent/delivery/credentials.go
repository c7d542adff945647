/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/mounted"
)

const (
	maxTokenBytes = 64 << 10
	// maxPasswordBytes bounds the user name and the password each: one header has both.
	maxPasswordBytes = 2 << 10
	// credentialsRefresh is how long credentials are used before they are read again.
	credentialsRefresh = time.Minute
)

// credentials give the value of the header Authorization. They read it again after
// credentialsRefresh, and at once where fresh is asked for.
type credentials interface {
	authorization(now time.Time, fresh bool) (string, error)
}

// readAgain keeps a value for credentialsRefresh. It is safe for concurrent use.
type readAgain struct {
	mu    sync.Mutex
	value string
	at    time.Time
}

func (r *readAgain) get(now time.Time, fresh bool, read func() (string, error)) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !fresh && r.value != "" && now.Sub(r.at) < credentialsRefresh {
		return r.value, nil
	}
	value, err := read()
	if err != nil {
		return "", err
	}
	r.value, r.at = value, now
	return value, nil
}

// tokenSource reads a token from a file that the kubelet renews.
type tokenSource struct {
	path  string
	token readAgain
}

func (t *tokenSource) authorization(now time.Time, fresh bool) (string, error) {
	token, err := t.get(now, fresh)
	return "Bearer " + token, err
}

func (t *tokenSource) get(now time.Time, fresh bool) (string, error) {
	return t.token.get(now, fresh, func() (string, error) {
		content, err := mounted.ReadFile(t.path, maxTokenBytes)
		if err != nil {
			return "", fmt.Errorf("reading the token file: %w", err)
		}
		token := strings.TrimSpace(string(content))
		if token == "" || strings.ContainsAny(token, "\r\n") {
			return "", errors.New("the token file has no token")
		}
		return token, nil
	})
}

// passwordSource reads a name and a password from the files username and password
// of a directory, as a Secret of type kubernetes.io/basic-auth has them. While the
// kubelet replaces the files, it may read an old and a new one together. It reads
// both again when the sink responds with 401.
type passwordSource struct {
	directory string
	pair      readAgain
}

func (p *passwordSource) authorization(now time.Time, fresh bool) (string, error) {
	return p.pair.get(now, fresh, func() (string, error) {
		username, err := p.read("username")
		if err != nil {
			return "", err
		}
		password, err := p.read("password")
		if err != nil {
			return "", err
		}
		if username == "" || strings.Contains(username, ":") {
			return "", errors.New("the file username is empty or has a colon, which basic authentication can't carry: write another name into the Secret")
		}
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(username+":"+password)), nil
	})
}

// read reads a file without the line end that editors add.
func (p *passwordSource) read(name string) (string, error) {
	content, err := mounted.ReadFile(filepath.Join(p.directory, name), maxPasswordBytes)
	if err != nil {
		return "", fmt.Errorf("reading the file %s: %w", name, err)
	}
	return strings.TrimRight(string(content), "\r\n"), nil
}
