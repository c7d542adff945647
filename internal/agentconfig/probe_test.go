/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agentconfig

import (
	"fmt"
	"strings"
	"testing"
)

func TestParseProbe(t *testing.T) {
	probe, err := ParseProbe(`{"httpGet":{"path":"/ready","port":8080,"scheme":"HTTP","httpHeaders":[{"name":"X-A","value":"b"}]},"periodSeconds":3}`)
	if err != nil {
		t.Fatal(err)
	}
	if probe.HTTPGet.Port != 8080 || probe.PeriodSeconds != 3 || probe.TimeoutSeconds != 1 || probe.SuccessThreshold != 1 || probe.FailureThreshold != 3 {
		t.Errorf("got %+v", probe)
	}
	for text, want := range map[string]string{
		`{}`: "set exactly one of httpGet, tcpSocket and grpc",
		`{"httpGet":{"port":1},"grpc":{"port":1}}`: "2 handlers",
		`{"tcpSocket":{"port":0}}`:                 "must be 1 to 65535",
		`{"tcpSocket":{"port":"http"}}`:            "not the JSON of a Kubernetes Probe",
		`{"exec":{"command":["true"]}}`:            "not the JSON of a Kubernetes Probe",
		`{"httpGet":{"port":1,"scheme":"ftp"}}`:    "must be HTTP or HTTPS",
		`{"httpGet":{"port":1,"host":"a b"}}`:      "httpGet.host",
		`{"tcpSocket":{"port":1,"host":"h:1"}}`:    "tcpSocket.host",
		`{"httpGet":{"port":1,"httpHeaders":[{"name":"X-A","value":""},{"name":"X A","value":""}]}}`: "httpGet.httpHeaders[1].name",
		`{"httpGet":{"port":1,"httpHeaders":[{"name":"X-A","value":"secret\n"}]}}`:                   "httpGet.httpHeaders[0].value: a header value must not",
		`{"tcpSocket":{"port":1},"periodSeconds":-1}`:                                                "must be 0 or more",
		`true`: "not the JSON of a Kubernetes Probe",
	} {
		if _, err := ParseProbe(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func ExampleParseProbe() {
	probe, err := ParseProbe(`{"grpc":{"port":8080,"service":"model"},"timeoutSeconds":2}`)
	fmt.Println(probe.GRPC.Port, *probe.GRPC.Service, probe.TimeoutSeconds, err)
	// Output: 8080 model 2 <nil>
}
