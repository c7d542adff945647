/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"testing"
)

func TestCertificates(t *testing.T) {
	l := newLayout(t.TempDir())
	if err := ensureCertificates(l, "a-node"); err != nil {
		t.Fatal(err)
	}
	authority, err := os.ReadFile(l.certificate("ca"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		t.Fatal("no authority")
	}
	for name, who := range subjects("a-node") {
		pair, err := tls.LoadX509KeyPair(l.certificate(name), l.key(name))
		if err != nil {
			t.Fatal(err)
		}
		options := x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
		if _, err := pair.Leaf.Verify(options); err != nil {
			t.Errorf("%s as a client: %v", name, err)
		}
		for _, host := range who.hosts {
			if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: host}); err != nil {
				t.Errorf("%s as %s: %v", name, host, err)
			}
		}
		if got := pair.Leaf.Subject.CommonName; got != who.name {
			t.Errorf("%s is for %s", name, got)
		}
	}
	before, err := os.ReadFile(l.certificate("admin"))
	if err != nil {
		t.Fatal(err)
	}
	if err := ensureCertificates(l, "a-node"); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(l.certificate("admin")); err != nil || string(after) != string(before) {
		t.Errorf("made anew: %v", err)
	}
	if err := writeKubeconfigs(l, identity{Name: "a", APIPort: 1}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(l.kubeconfig("admin"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the kubeconfig, which has a key: %v, %v", info, err)
	}
}
