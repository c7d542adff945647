/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// The resident is this program itself, kept running inside the network
// namespace for as long as the cluster is up. It leads loopback ports of the
// machine into the namespace, and keeps the daemons' logs from growing for
// ever.
//
// A socket belongs to the namespace in which it was made: the listeners are
// made outside and handed on, so the resident accepts what comes from the
// machine and dials where it is itself. socat in Debian 12 can't do that.

// forwards are the addresses within the namespace, in the order in which the
// listeners are handed to the resident.
func forwards(id identity) []forward {
	return []forward{
		{port: id.RegistryPort, target: id.registry()},
		{port: id.APIPort, target: fmt.Sprintf("127.0.0.1:%d", apiPort)},
		{port: id.IngressPort, target: fmt.Sprintf("127.0.0.1:%d", ingressPort)},
	}
}

type forward struct {
	port   int
	target string
}

func residentDaemon(s settings) daemon {
	d := daemon{name: "resident", arguments: []string{s.bin("cluster"), "resident", filepath.Dir(s.log(""))}}
	for _, f := range forwards(s.identity) {
		d.ports = append(d.ports, f.port)
		d.arguments = append(d.arguments, f.target)
	}
	return d
}

// listen opens loopback ports of the machine, as files to hand on.
func listen(ports []int) (opened []*os.File, err error) {
	for _, port := range ports {
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			closeAll(opened)
			return nil, fmt.Errorf("another program took a port of this cluster (end it, or choose new ports by down --purge): %w", err)
		}
		file, err := listener.(*net.TCPListener).File()
		// The file is a duplicate that keeps the socket open.
		_ = listener.Close()
		if err != nil {
			closeAll(opened)
			return nil, err
		}
		opened = append(opened, file)
	}
	return opened, nil
}

func closeAll(opened []*os.File) {
	for _, file := range opened {
		_ = file.Close()
	}
}

// reside is the resident's main: it runs until it is ended.
func reside(logs string, targets []string) error {
	var all sync.WaitGroup
	for i, target := range targets {
		file := os.NewFile(uintptr(3+i), target)
		listener, err := net.FileListener(file)
		if err != nil {
			return fmt.Errorf("listener for %s: %w", target, err)
		}
		_ = file.Close()
		all.Go(func() { forwardAll(listener, target) })
	}
	go boundLogs(logs)
	all.Wait()
	return nil
}

// forwardAll carries every connection to the target, byte by byte.
func forwardAll(listener net.Listener, target string) {
	for {
		client, err := listener.Accept()
		if err != nil {
			fmt.Fprintln(os.Stderr, "accepting for", target, err)
			time.Sleep(time.Second)
			continue
		}
		go carry(client.(*net.TCPConn), target)
	}
}

// carry joins a client's connection with one of its own to the target. Each
// direction ends on its own: a client may close its side and still read.
func carry(client *net.TCPConn, target string) {
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	connection, err := new(net.Dialer).DialContext(ctx, "tcp", target)
	if err != nil {
		return
	}
	server := connection.(*net.TCPConn)
	defer server.Close()
	var both sync.WaitGroup
	both.Go(func() { pour(server, client) })
	both.Go(func() { pour(client, server) })
	both.Wait()
}

func pour(to, from *net.TCPConn) {
	_, err := io.Copy(to, from)
	if err != nil {
		// Broken, not ended: let both sides know.
		_ = from.Close()
		_ = to.Close()
		return
	}
	_ = to.CloseWrite()
}

// logLimit is the size in bytes at which a log is begun anew; what was is kept
// once, so that a log takes at most twice this.
const logLimit = 32 << 20

func boundLogs(folder string) {
	for ; ; time.Sleep(time.Minute) {
		logs, _ := filepath.Glob(filepath.Join(folder, "*.log"))
		for _, path := range logs {
			if err := boundLog(path, logLimit); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}
	}
}

// boundLog copies a log that is over the limit to PATH.1 and empties it. It is
// open for appending where it is written, so its writer goes on at the start;
// what is written in between is lost.
func boundLog(path string, limit int64) error {
	info, err := os.Stat(path)
	if err != nil || info.Size() <= limit {
		return err
	}
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.Create(path + ".1")
	if err != nil {
		return err
	}
	defer to.Close()
	if _, err := from.Seek(-limit, io.SeekEnd); err != nil {
		return err
	}
	if _, err := io.Copy(to, from); err != nil {
		return err
	}
	return os.Truncate(path, 0)
}
