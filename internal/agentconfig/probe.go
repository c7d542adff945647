/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agentconfig

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// Probe has the fields of a Kubernetes Probe (core/v1) that the agent runs, in
// the same order, so that both have the same JSON. A number that is 0 has
// Kubernetes' default. Exec is missing, because the agent can't run a command in
// another container.
type Probe struct {
	HTTPGet   *HTTPGet   `json:"httpGet,omitempty"`
	TCPSocket *TCPSocket `json:"tcpSocket,omitempty"`
	GRPC      *GRPC      `json:"grpc,omitempty"`

	InitialDelaySeconds int32 `json:"initialDelaySeconds,omitempty"`
	TimeoutSeconds      int32 `json:"timeoutSeconds,omitempty"`
	PeriodSeconds       int32 `json:"periodSeconds,omitempty"`
	SuccessThreshold    int32 `json:"successThreshold,omitempty"`
	FailureThreshold    int32 `json:"failureThreshold,omitempty"`
}

// HTTPGet requests a path. A status from 200 to 399 is a success.
type HTTPGet struct {
	Path        string       `json:"path,omitempty"`
	Port        int32        `json:"port"`
	Host        string       `json:"host,omitempty"`
	Scheme      string       `json:"scheme,omitempty"`
	HTTPHeaders []HTTPHeader `json:"httpHeaders,omitempty"`
}

// HTTPHeader is one header of an HTTPGet.
type HTTPHeader struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// TCPSocket dials a port.
type TCPSocket struct {
	Port int32  `json:"port"`
	Host string `json:"host,omitempty"`
}

// GRPC calls grpc.health.v1.Health. SERVING is a success.
type GRPC struct {
	Port    int32   `json:"port"`
	Service *string `json:"service"`
}

// ParseProbe reads a Probe from JSON.
func ParseProbe(text string) (*Probe, error) {
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.DisallowUnknownFields()
	var probe Probe
	if err := decoder.Decode(&probe); err != nil {
		return nil, fmt.Errorf("the probe is not the JSON of a Kubernetes Probe with httpGet, tcpSocket or grpc: %w", err)
	}
	if err := probe.Validate(); err != nil {
		return nil, err
	}
	probe.setDefaults()
	return &probe, nil
}

func formatProbe(p *Probe) string {
	data, err := json.Marshal(p)
	if err != nil {
		panic("a probe has no JSON form: " + err.Error())
	}
	return string(data)
}

// DialProbe is the probe of a model that has none: its port takes connections.
func DialProbe(port int32) *Probe {
	probe := &Probe{TCPSocket: &TCPSocket{Port: port}}
	probe.setDefaults()
	return probe
}

// Validate says why the agent could not run the probe.
func (p *Probe) Validate() error {
	handlers, port := 0, int32(0)
	if p.HTTPGet != nil {
		handlers, port = handlers+1, p.HTTPGet.Port
		if scheme := p.HTTPGet.Scheme; scheme != "" && scheme != "HTTP" && scheme != "HTTPS" {
			return fmt.Errorf("invalid httpGet.scheme %q: must be HTTP or HTTPS", scheme)
		}
		if err := validateHost("httpGet.host", p.HTTPGet.Host); err != nil {
			return err
		}
		for i, header := range p.HTTPGet.HTTPHeaders {
			if !httpguts.ValidHeaderFieldName(header.Name) {
				return fmt.Errorf("invalid httpGet.httpHeaders[%d].name %q: use letters, digits and -", i, header.Name)
			}
			// A value may be a secret.
			if !httpguts.ValidHeaderFieldValue(header.Value) {
				return fmt.Errorf("invalid httpGet.httpHeaders[%d].value: a header value must not have line breaks or control characters", i)
			}
		}
	}
	if p.TCPSocket != nil {
		if err := validateHost("tcpSocket.host", p.TCPSocket.Host); err != nil {
			return err
		}
		handlers, port = handlers+1, p.TCPSocket.Port
	}
	if p.GRPC != nil {
		handlers, port = handlers+1, p.GRPC.Port
	}
	if handlers != 1 {
		return fmt.Errorf("the probe has %d handlers: set exactly one of httpGet, tcpSocket and grpc", handlers)
	}
	if port < 1 || port > 65535 {
		return fmt.Errorf("invalid port %d: must be 1 to 65535", port)
	}
	for name, value := range map[string]int32{
		"initialDelaySeconds": p.InitialDelaySeconds,
		"periodSeconds":       p.PeriodSeconds,
		"timeoutSeconds":      p.TimeoutSeconds,
		"successThreshold":    p.SuccessThreshold,
		"failureThreshold":    p.FailureThreshold,
	} {
		if value < 0 {
			return fmt.Errorf("invalid %s %d: must be 0 or more", name, value)
		}
	}
	return nil
}

// validateHost refuses a host that can never be dialled.
func validateHost(field, host string) error {
	if strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"/\?#@%[]<>`, r) }) ||
		(strings.Contains(host, ":") && net.ParseIP(host) == nil) {
		return fmt.Errorf("invalid %s %q: must be an IP address or a DNS name, or empty", field, host)
	}
	return nil
}

// setDefaults sets the defaults of Kubernetes.
func (p *Probe) setDefaults() {
	p.PeriodSeconds = cmp.Or(p.PeriodSeconds, 10)
	p.TimeoutSeconds = cmp.Or(p.TimeoutSeconds, 1)
	p.SuccessThreshold = cmp.Or(p.SuccessThreshold, 1)
	p.FailureThreshold = cmp.Or(p.FailureThreshold, 3)
}
