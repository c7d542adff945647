/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/cert"

	"github.com/sidenote-dev/sidenote/test/performance/process"
)

const (
	// interval is the time between two checks of a process.
	interval       = 20 * time.Millisecond
	etcdLimit      = time.Minute
	apiServerLimit = 3 * time.Minute
)

// controlPlane is an etcd and a kube-apiserver on the loopback, which know
// Sidenote's InferenceServices.
type controlPlane struct {
	directory       string
	etcd, apiServer *process.Process
	url             string
	admin           *rest.Config
}

// startControlPlane starts what hack/cluster has built. Whatever was started when
// it fails has ended.
func startControlPlane(ctx context.Context, binaries, directory string) (*controlPlane, error) {
	c := &controlPlane{directory: directory}
	if err := c.start(ctx, binaries); err != nil {
		c.end()
		return nil, err
	}
	if err := c.install(ctx); err != nil {
		c.end()
		return nil, err
	}
	return c, nil
}

// end ends both. It may be called again.
func (c *controlPlane) end() {
	c.apiServer.Kill()
	c.etcd.Kill()
}

func (c *controlPlane) path(name string) string { return filepath.Join(c.directory, name) }

func (c *controlPlane) authorityFile() string { return c.path("apiserver.crt") }
func (c *controlPlane) tokenFile() string     { return c.path("token") }

func (c *controlPlane) start(ctx context.Context, binaries string) error {
	addresses, err := process.FreeAddresses(3)
	if err != nil {
		return err
	}
	etcdURL, peerURL := "http://"+addresses[0], "http://"+addresses[1]
	c.url = "https://" + addresses[2]
	_, port, err := net.SplitHostPort(addresses[2])
	if err != nil {
		return err
	}
	adminToken, err := c.writeSecrets()
	if err != nil {
		return err
	}
	c.admin = &rest.Config{
		Host: c.url, BearerToken: adminToken, QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{CAFile: c.authorityFile()},
	}
	if c.etcd, err = process.Start(process.Command{Path: filepath.Join(binaries, "etcd"), Arguments: []string{
		"--data-dir=" + c.path("etcd"),
		"--listen-client-urls=" + etcdURL, "--advertise-client-urls=" + etcdURL,
		"--listen-peer-urls=" + peerURL, "--initial-advertise-peer-urls=" + peerURL,
		"--initial-cluster=default=" + peerURL,
		"--unsafe-no-fsync",
		"--log-level=warn",
	}}); err != nil {
		return err
	}
	if err := c.etcd.Await(ctx, func() error { return dial(addresses[0]) }, interval, etcdLimit); err != nil {
		return err
	}
	if c.apiServer, err = process.Start(process.Command{Path: filepath.Join(binaries, "kube-apiserver"), Environment: []string{"HOME=" + c.directory}, Arguments: []string{
		"--etcd-servers=" + etcdURL,
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--secure-port=" + port,
		// Nobody reaches it as a Service, least of all at a loopback address.
		"--endpoint-reconciler-type=none",
		"--service-cluster-ip-range=10.96.0.0/16",
		"--authorization-mode=RBAC",
		"--tls-cert-file=" + c.authorityFile(), "--tls-private-key-file=" + c.path("apiserver.key"),
		"--token-auth-file=" + c.path("tokens.csv"),
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + c.path("service-account.key"),
		"--service-account-signing-key-file=" + c.path("service-account.key"),
		"--profiling=false",
	}}); err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(c.admin)
	if err != nil {
		return fmt.Errorf("setting up the administrator's client: %w", err)
	}
	return c.apiServer.Await(ctx, func() error {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return client.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	}, interval, apiServerLimit)
}

// writeSecrets writes the API server's certificate, the key that signs the
// tokens of service accounts, and the administrator's token, which it returns.
func (c *controlPlane) writeSecrets() (token string, err error) {
	certificate, key, err := cert.GenerateSelfSignedCertKey("localhost", []net.IP{net.IPv4(127, 0, 0, 1)}, nil)
	if err != nil {
		return "", fmt.Errorf("making the API server's certificate: %w", err)
	}
	signing, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", fmt.Errorf("making the key of service accounts: %w", err)
	}
	signingDER, err := x509.MarshalECPrivateKey(signing)
	if err != nil {
		return "", fmt.Errorf("making the key of service accounts: %w", err)
	}
	token = rand.Text()
	for name, content := range map[string][]byte{
		"apiserver.crt":       certificate,
		"apiserver.key":       key,
		"service-account.key": pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: signingDER}),
		"tokens.csv":          []byte(token + ",admin,admin,system:masters\n"),
	} {
		if err := os.WriteFile(c.path(name), content, 0o600); err != nil {
			return "", fmt.Errorf("writing secrets: %w", err)
		}
	}
	return token, nil
}

func (c *controlPlane) clients() (*kubernetes.Clientset, dynamic.Interface, error) {
	typed, err := kubernetes.NewForConfig(c.admin)
	if err != nil {
		return nil, nil, fmt.Errorf("setting up the administrator's client: %w", err)
	}
	untyped, err := dynamic.NewForConfig(c.admin)
	if err != nil {
		return nil, nil, fmt.Errorf("setting up the administrator's client: %w", err)
	}
	return typed, untyped, nil
}

func dial(address string) error {
	connection, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return err
	}
	return connection.Close()
}
