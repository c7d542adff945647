/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/mounted"
)

const (
	trustRefresh       = time.Minute
	maxTrustFileBytes  = 1 << 20
	maxTrustDirEntries = 100
)

// trust is whom a sink's certificate may come from, beside the system's
// authorities: from an argument, a file and a directory, of which the latter
// two are read again.
type trust struct {
	inline          []byte
	file, directory string

	pool *x509.CertPool
	sum  [sha256.Size]byte
	read time.Time
}

// load reads everything, and reports whether it is other than before. On an error
// what was read last remains in use.
func (t *trust) load(now time.Time) (changed bool, err error) {
	t.read = now
	var all bytes.Buffer
	add := func(what string, content []byte) error {
		if !x509.NewCertPool().AppendCertsFromPEM(content) {
			return fmt.Errorf("%s contains no certificate in PEM", what)
		}
		all.Write(content)
		all.WriteByte('\n')
		return nil
	}
	if len(t.inline) > 0 {
		if err := add("ca-certs", t.inline); err != nil {
			return false, err
		}
	}
	if t.file != "" {
		content, err := mounted.ReadFile(t.file, maxTrustFileBytes)
		if err != nil {
			return false, fmt.Errorf("reading ca-certs-file: %w", err)
		}
		if err := add("ca-certs-file", content); err != nil {
			return false, err
		}
	}
	if t.directory != "" {
		if err := t.loadDirectory(&all); err != nil {
			return false, fmt.Errorf("reading ca-certs-dir: %w", err)
		}
	}
	sum := sha256.Sum256(all.Bytes())
	if t.pool != nil && sum == t.sum {
		return false, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	pool.AppendCertsFromPEM(all.Bytes())
	t.pool, t.sum = pool, sum
	return true, nil
}

// loadDirectory takes what there is: a bundle may come later, or not be one.
func (t *trust) loadDirectory(all *bytes.Buffer) error {
	entries, err := os.ReadDir(t.directory)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries[:min(len(entries), maxTrustDirEntries)] {
		// A volume of a ConfigMap has its versions beside its files.
		if strings.HasPrefix(entry.Name(), "..") || entry.IsDir() {
			continue
		}
		content, err := mounted.ReadFile(filepath.Join(t.directory, entry.Name()), maxTrustFileBytes)
		if err != nil {
			return err
		}
		all.Write(content)
		all.WriteByte('\n')
	}
	return nil
}
