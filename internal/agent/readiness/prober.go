/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package readiness

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

const (
	maxRedirects     = 10
	maxResponseBytes = 10 << 10
	userAgent        = "sidenote-agent/probe"
	lowestSuccess    = http.StatusOK
	lowestFailure    = http.StatusBadRequest
	schemeHTTPS      = "HTTPS"
	headerHost       = "Host"
	headerUserAgent  = "User-Agent"
	headerAccept     = "Accept"
	acceptEverything = "*/*"
)

// prober runs single probes the way the kubelet does (kubernetes/pkg/probe).
type prober struct {
	host   string
	client *http.Client
}

func newProber(host string) *prober {
	return &prober{
		host: host,
		client: &http.Client{
			Transport: &http.Transport{
				Proxy: nil,
				// A model's certificate names its service, not the loopback.
				TLSClientConfig:    &tls.Config{InsecureSkipVerify: true},
				DisableKeepAlives:  true,
				DisableCompression: true,
			},
			CheckRedirect: followOnSameHost,
		},
	}
}

// followOnSameHost follows redirects on the same host. A redirect to another host
// is the response.
func followOnSameHost(next *http.Request, via []*http.Request) error {
	if next.URL.Hostname() != via[0].URL.Hostname() {
		return http.ErrUseLastResponse
	}
	if len(via) >= maxRedirects {
		return errors.New("too many redirects")
	}
	return nil
}

func (p *prober) run(ctx context.Context, probe *agentconfig.Probe) error {
	switch {
	case probe.HTTPGet != nil:
		return p.get(ctx, probe.HTTPGet)
	case probe.GRPC != nil:
		return p.askHealth(ctx, probe.GRPC)
	default:
		return p.dial(ctx, probe.TCPSocket)
	}
}

func (p *prober) address(host string, port int32) string {
	return net.JoinHostPort(cmp.Or(host, p.host), strconv.Itoa(int(port)))
}

func (p *prober) dial(ctx context.Context, socket *agentconfig.TCPSocket) error {
	connection, err := new(net.Dialer).DialContext(ctx, "tcp", p.address(socket.Host, socket.Port))
	if err != nil {
		return fmt.Errorf("dialling: %w", err)
	}
	return connection.Close()
}

func (p *prober) get(ctx context.Context, get *agentconfig.HTTPGet) error {
	target, err := url.Parse(get.Path)
	if err != nil {
		// As the kubelet does.
		target = &url.URL{Path: get.Path}
	}
	target.Scheme = "http"
	if get.Scheme == schemeHTTPS {
		target.Scheme = "https"
	}
	target.Host = p.address(get.Host, get.Port)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return fmt.Errorf("making the request: %w", err)
	}
	for _, header := range get.HTTPHeaders {
		if http.CanonicalHeaderKey(header.Name) == headerHost {
			request.Host = header.Value
		} else {
			request.Header.Add(header.Name, header.Value)
		}
	}
	for name, byDefault := range map[string]string{headerUserAgent: userAgent, headerAccept: acceptEverything} {
		if _, given := request.Header[name]; !given {
			request.Header.Set(name, byDefault)
		}
	}
	response, err := p.client.Do(request)
	if err != nil {
		return fmt.Errorf("asking: %w", err)
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxResponseBytes))
	if response.StatusCode < lowestSuccess || response.StatusCode >= lowestFailure {
		return fmt.Errorf("the model responded with status %d", response.StatusCode)
	}
	return nil
}

func (p *prober) askHealth(ctx context.Context, probe *agentconfig.GRPC) error {
	connection, err := grpc.NewClient("passthrough:///"+p.address("", probe.Port),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithNoProxy(),
		grpc.WithUserAgent(userAgent))
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	defer connection.Close()
	request := new(grpc_health_v1.HealthCheckRequest)
	if probe.Service != nil {
		request.Service = *probe.Service
	}
	response, err := grpc_health_v1.NewHealthClient(connection).Check(ctx, request)
	if err != nil {
		return fmt.Errorf("asking: %w", err)
	}
	if response.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		return errors.New("the model is not serving")
	}
	return nil
}
