/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
)

// kubeconfig renders a kubeconfig that holds its certificates, so that it can
// be used from anywhere. JSON is YAML too.
func kubeconfig(server, cluster, user string, authority, certificate, key []byte) ([]byte, error) {
	encode := base64.StdEncoding.EncodeToString
	type named map[string]any
	return json.MarshalIndent(map[string]any{
		"apiVersion": "v1",
		"kind":       "Config",
		"clusters": []named{{"name": cluster, "cluster": named{
			"server": server, "certificate-authority-data": encode(authority),
		}}},
		"users": []named{{"name": user, "user": named{
			"client-certificate-data": encode(certificate), "client-key-data": encode(key),
		}}},
		"contexts":        []named{{"name": cluster, "context": named{"cluster": cluster, "user": user}}},
		"current-context": cluster,
	}, "", "  ")
}

// writeKubeconfigs writes one for each who speaks to the API server: those
// inside the namespace directly, a person's through the loopback port.
func writeKubeconfigs(l layout, id identity) error {
	inside := fmt.Sprintf("https://127.0.0.1:%d", apiPort)
	servers := map[string]string{
		"admin":              id.apiURL(),
		"controller-manager": inside,
		"scheduler":          inside,
		"kubelet":            inside,
		"proxy":              inside,
		"coredns":            inside,
		"traefik":            inside,
	}
	authority, err := os.ReadFile(l.certificate("ca"))
	if err != nil {
		return err
	}
	for name, server := range servers {
		certificate, err := os.ReadFile(l.certificate(name))
		if err != nil {
			return err
		}
		key, err := os.ReadFile(l.key(name))
		if err != nil {
			return err
		}
		data, err := kubeconfig(server, id.Name, name, authority, certificate, key)
		if err != nil {
			return err
		}
		if err := writeFile(l.kubeconfig(name), append(data, '\n'), 0o600); err != nil {
			return err
		}
	}
	return nil
}
