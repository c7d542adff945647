/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package tlsfront puts TLS in front of subscribers, with certificates of an
// authority that nobody knows but whom a feature tells.
package tlsfront

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"embed"
	"encoding/pem"
	"fmt"
	"math/big"
	"strconv"
	"time"

	"knative.dev/pkg/network"
	"knative.dev/reconciler-test/pkg/environment"
	"knative.dev/reconciler-test/pkg/feature"
	"knative.dev/reconciler-test/pkg/k8s"
	"knative.dev/reconciler-test/pkg/manifest"
)

// Package is the front's main package.
const Package = "github.com/sidenote-dev/sidenote/test/test_images/tls-front"

//go:embed *.yaml
var templates embed.FS

// Authority is a certificate authority.
type Authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// NewAuthority makes an authority.
func NewAuthority() (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := validNow("an authority of a test")
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	return &Authority{certificate: certificate, key: key}, err
}

// PEM is the authority's certificate.
func (a *Authority) PEM() string { return encode("CERTIFICATE", a.certificate.Raw) }

// issue returns a certificate for a host, and its key.
func (a *Authority) issue(host string) (certificate, key string, err error) {
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	template := validNow(host)
	template.DNSNames = []string{host}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, own.Public(), a.key)
	if err != nil {
		return "", "", err
	}
	private, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		return "", "", err
	}
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", private), nil
}

func validNow(name string) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(24 * time.Hour),
	}
}

func encode(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// Install puts TLS in front of a subscriber's Service, with a certificate of
// the authority.
func Install(name, subscriber string, authority *Authority) feature.StepFn {
	return func(ctx context.Context, t feature.T) {
		namespace := environment.FromContext(ctx).Namespace()
		certificate, key, err := authority.issue(network.GetServiceHostname(name, namespace))
		if err == nil {
			_, err = manifest.InstallYamlFS(ctx, templates, map[string]any{
				"name": name,
				// Quoted, its line ends are YAML's too.
				"certificate": strconv.Quote(certificate), "key": strconv.Quote(key),
				"target": "http://" + network.GetServiceHostname(subscriber, namespace),
			})
		}
		if err != nil {
			t.Fatal(fmt.Errorf("putting TLS in front of %s: %w", subscriber, err))
		}
		k8s.WaitForServiceEndpointsOrFail(ctx, t, name, 1)
	}
}

// URL is where a front is.
func URL(ctx context.Context, name string) string {
	return "https://" + network.GetServiceHostname(name, environment.FromContext(ctx).Namespace())
}
