/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"errors"
	"net"
	"strings"

	"github.com/sidenote-dev/sidenote/test/performance/process"
)

// peer is another agent that sends both sides of each exchange to a sink.
type peer struct {
	path string
	// line and environment have placeholders, see command.
	line, environment []string
}

// newPeer reads a peer of its path, and of arguments and an environment that are
// separated by white space. An empty path is no peer.
func newPeer(path, line, environment string) (*peer, error) {
	if path == "" {
		return nil, nil
	}
	if !strings.Contains(line, "{sink}") || !strings.Contains(line, "{listen") {
		return nil, errors.New("the peer's arguments name no {sink} or no {listen} or {listen-port}")
	}
	return &peer{path: path, line: strings.Fields(line), environment: strings.Fields(environment)}, nil
}

// command puts addresses in the place of {listen}, {admin}, {target} and {sink},
// each host:port, and their ports in that of {listen-port} and so on.
func (p *peer) command(at place) process.Command {
	var pairs []string
	for name, address := range map[string]string{"listen": at.listen, "admin": at.admin, "target": at.target, "sink": at.sink} {
		pairs = append(pairs, "{"+name+"}", address, "{"+name+"-port}", port(address))
	}
	replacer := strings.NewReplacer(pairs...)
	c := process.Command{Path: p.path}
	for _, argument := range p.line {
		c.Arguments = append(c.Arguments, replacer.Replace(argument))
	}
	for _, variable := range p.environment {
		c.Environment = append(c.Environment, replacer.Replace(variable))
	}
	c.Environment = append(c.Environment, at.cell.environment...)
	return c
}

// port is that of an address.
func port(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}
