/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"strings"

	"github.com/sidenote-dev/sidenote/test/performance/process"
)

// arm is one way to bring annotations into events.
type arm struct {
	Name string `json:"name"`
	What string `json:"what"`
	// lookup is how the enricher gets annotations. Empty is Sidenote's agent.
	lookup string
}

// The first arm is what the others are compared with.
var arms = []arm{
	{Name: "Sidenote", What: "the agent has the annotations in its arguments"},
	{Name: "Sidenote again", What: "the same, to show the noise"},
	{Name: "constant", What: "the enricher with constant annotations, to show what the enricher itself costs", lookup: "constant"},
	{Name: "informer", What: "the enricher reads the cache of a watch", lookup: "informer"},
	{Name: "GET, cached", What: "the enricher asks for each event, and lets the API server respond from its cache (resourceVersion=0)", lookup: "get-cached"},
	{Name: "GET", What: "the enricher asks for each event, as clients do by default", lookup: "get"},
}

// place is where an arm's process finds the others.
type place struct {
	agent, enricher string
	model, sink     string
	cluster         *controlPlane
}

// command returns an arm's process that listens on a port.
func (a arm) command(at place, port, adminPort string) process.Command {
	line := []string{
		"--port=" + port, "--admin-port=" + adminPort, "--target=" + at.model, "--sink=" + at.sink,
		"--content-mode=binary", "--source=" + modelName, "--inference-service=" + modelName, "--namespace=" + namespace,
		"--log-level=error",
	}
	var constant, names []string
	for _, attribute := range attributes {
		constant = append(constant, attribute.name+"="+attribute.value)
		names = append(names, attribute.name)
	}
	if a.lookup == "" {
		for _, argument := range constant {
			line = append(line, "--metadata="+argument)
		}
		return process.Command{Path: at.agent, Arguments: line}
	}
	return process.Command{Path: at.enricher, Arguments: line, Environment: []string{
		// As cmd/agent sets it for itself.
		"GOGC=200",
		"LOOKUP=" + a.lookup,
		"LOOKUP_SERVER=" + at.cluster.url,
		"LOOKUP_CA_FILE=" + at.cluster.authorityFile(),
		"LOOKUP_TOKEN_FILE=" + at.cluster.tokenFile(),
		"LOOKUP_NAMESPACE=" + namespace,
		"LOOKUP_NAME=" + modelName,
		"LOOKUP_ANNOTATIONS=" + strings.Join(names, " "),
		"LOOKUP_CONSTANT=" + strings.Join(constant, " "),
	}}
}
