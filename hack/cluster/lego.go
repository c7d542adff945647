/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// A third of what Traefik compiles is the SDKs of a hundred clouds, for
// proving to a certificate authority that one owns a DNS zone. Here nobody
// asks for certificates, so Traefik is built with a copy of lego, the library
// that does it, whose list of DNS providers is empty. Nothing else changes.

const legoModule = "github.com/go-acme/lego/v4"

// noProviders takes the place of lego's generated list.
const noProviders = `package dns

import (
	"fmt"

	"github.com/go-acme/lego/v4/challenge"
)

// NewDNSChallengeProviderByName knows no provider.
func NewDNSChallengeProviderByName(name string) (challenge.Provider, error) {
	return nil, fmt.Errorf("unrecognized DNS provider: %s", name)
}
`

// traefikWithoutDNSProviders copies lego's sources, and the pinned go.mod with
// one more replace directive. It returns the path of the latter.
func traefikWithoutDNSProviders(ctx context.Context, l layout) (string, error) {
	folder := moduleFolder(l, "traefik")
	source, err := downloadModule(ctx, folder, legoModule)
	if err != nil {
		return "", err
	}
	lego := l.sources("lego")
	if err := os.RemoveAll(lego); err != nil {
		return "", err
	}
	if err := os.CopyFS(lego, os.DirFS(source)); err != nil {
		return "", fmt.Errorf("copying lego: %w", err)
	}
	if err := writeFile(filepath.Join(lego, "providers", "dns", "zz_gen_dns_providers.go"), []byte(noProviders), 0o644); err != nil {
		return "", err
	}
	modfile := l.sources("traefik.mod")
	gomod, err := os.ReadFile(filepath.Join(folder, "go.mod"))
	if err != nil {
		return "", err
	}
	gosum, err := os.ReadFile(filepath.Join(folder, "go.sum"))
	if err != nil {
		return "", err
	}
	gomod = bytes.Join([][]byte{gomod, []byte("replace " + legoModule + " => " + lego + "\n")}, []byte("\n"))
	if err := writeFile(modfile, gomod, 0o644); err != nil {
		return "", err
	}
	return modfile, writeFile(l.sources("traefik.sum"), gosum, 0o644)
}

// downloadModule returns the folder of the module cache that has a module at
// the version pinned in a go.mod.
func downloadModule(ctx context.Context, folder, module string) (string, error) {
	out, err := command{
		dir:         folder,
		environment: goEnvironment(),
		arguments:   []string{"go", "mod", "download", "-json", module},
	}.run(ctx)
	if err != nil {
		return "", fmt.Errorf("downloading %s: %w", module, err)
	}
	var downloaded struct{ Dir string }
	if err := json.Unmarshal([]byte(out), &downloaded); err != nil {
		return "", err
	}
	return downloaded.Dir, nil
}
