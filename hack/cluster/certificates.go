/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"time"
)

// certificateLife is a throw-away cluster's: longer than anyone keeps one.
const certificateLife = 10 * 365 * 24 * time.Hour

// subject is what a certificate says of its holder: a user and its groups, as
// Kubernetes reads client certificates, and the names of a server.
type subject struct {
	name   string
	groups []string
	hosts  []string
}

// subjects lists the certificates of a cluster by file name. All are signed by
// the one authority "ca".
func subjects(node string) map[string]subject {
	return map[string]subject{
		"apiserver": {name: "kube-apiserver", hosts: []string{
			"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + clusterDomain,
			"localhost", "127.0.0.1", nodeAddress, kubernetesIP,
		}},
		"apiserver-kubelet-client": {name: "kube-apiserver-kubelet-client", groups: []string{"system:masters"}},
		"front-proxy-client":       {name: "front-proxy-client"},
		"kubelet":                  {name: "system:node:" + node, groups: []string{"system:nodes"}, hosts: []string{node, nodeAddress, "127.0.0.1"}},
		"admin":                    {name: "admin", groups: []string{"system:masters"}},
		"controller-manager":       {name: "system:kube-controller-manager"},
		"scheduler":                {name: "system:kube-scheduler"},
		"proxy":                    {name: "system:kube-proxy"},
		"coredns":                  {name: "coredns"},
		"traefik":                  {name: "traefik"},
		"kserve-webhook":           {name: "kserve-webhook", hosts: []string{"kserve-webhook-server-service.kserve.svc"}},
	}
}

// ensureCertificates makes what is missing: the authority, a certificate and
// key for each subject, and the key that signs service account tokens.
func ensureCertificates(l layout, node string) error {
	authority, err := ensureAuthority(l)
	if err != nil {
		return err
	}
	for name, who := range subjects(node) {
		if _, err := os.Stat(l.certificate(name)); err == nil {
			continue
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		certificate, key, err := issue(who, authority, time.Now())
		if err != nil {
			return fmt.Errorf("certificate of %s: %w", name, err)
		}
		if err := writePair(l, name, certificate, key); err != nil {
			return err
		}
	}
	if _, err := os.Stat(l.key("service-account")); errors.Is(err, fs.ErrNotExist) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return err
		}
		return writeKey(l.key("service-account"), key)
	}
	return nil
}

func ensureAuthority(l layout) (*tls.Certificate, error) {
	if _, err := os.Stat(l.certificate("ca")); errors.Is(err, fs.ErrNotExist) {
		certificate, key, err := issue(subject{name: "sidenote local cluster"}, nil, time.Now())
		if err != nil {
			return nil, err
		}
		if err := writePair(l, "ca", certificate, key); err != nil {
			return nil, err
		}
	}
	authority, err := tls.LoadX509KeyPair(l.certificate("ca"), l.key("ca"))
	return &authority, err
}

// issue makes a key and a certificate for a subject, signed by an authority;
// without one it makes an authority.
func issue(who subject, authority *tls.Certificate, now time.Time) ([]byte, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: who.name, Organization: who.groups},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(certificateLife),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	for _, host := range who.hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	parent, signer := template, any(key)
	if authority == nil {
		template.IsCA, template.BasicConstraintsValid = true, true
		template.KeyUsage |= x509.KeyUsageCertSign
		template.ExtKeyUsage = nil
	} else {
		if parent, err = x509.ParseCertificate(authority.Certificate[0]); err != nil {
			return nil, nil, err
		}
		signer = authority.PrivateKey
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	return certificate, key, err
}

// writePair writes the key first: a certificate that is there has its key.
func writePair(l layout, name string, certificate []byte, key *ecdsa.PrivateKey) error {
	if err := writeKey(l.key(name), key); err != nil {
		return err
	}
	return writeFile(l.certificate(name), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}), 0o644)
}

func writeKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return writeFile(path, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600)
}
