/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// daemon is a server of the cluster: it runs until down ends it.
type daemon struct {
	name        string
	arguments   []string
	environment []string
	// ports are loopback ports of the machine. The daemon gets their listeners
	// as descriptors 3 and up.
	ports []int
}

// daemonRecord is what is kept of a started daemon.
type daemonRecord struct {
	processID
	// Settings is a hash of the arguments and the configuration it started
	// with.
	Settings string `json:"settings"`
}

func readDaemon(l layout, name string) (daemonRecord, bool) {
	var record daemonRecord
	data, err := os.ReadFile(l.process(name))
	if err != nil || json.Unmarshal(data, &record) != nil {
		return daemonRecord{}, false
	}
	return record, record.alive()
}

// start starts a daemon inside the network namespace, detached from this
// process and its terminal, and notes its id.
func (d daemon) start(l layout, namespace, settings string) error {
	logFile := l.log(d.name)
	if err := os.MkdirAll(filepath.Dir(logFile), 0o755); err != nil {
		return err
	}
	// Appending, so that the resident may cut the file while it is written.
	out, err := os.OpenFile(logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	fmt.Fprintf(out, "\n%s $ %s\n", time.Now().UTC().Format(time.RFC3339), strings.Join(d.arguments, " "))
	cmd := exec.Command("nsenter", append([]string{"--net=" + namespacePath(namespace), "--"}, d.arguments...)...)
	cmd.Dir = l.state()
	cmd.Env = append(append(os.Environ(), "PATH="+daemonPath(l)), d.environment...)
	cmd.Stdout, cmd.Stderr = out, out
	listeners, err := listen(d.ports)
	if err != nil {
		return err
	}
	defer closeAll(listeners)
	cmd.ExtraFiles = listeners
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", d.name, err)
	}
	startTime, ok := startTimeOf(cmd.Process.Pid)
	if !ok {
		_ = cmd.Wait()
		return fmt.Errorf("%s ended at once; its log is %s", d.name, logFile)
	}
	record := daemonRecord{
		processID: processID{PID: cmd.Process.Pid, StartTime: startTime, Boot: bootID()},
		Settings:  settings,
	}
	// nsenter becomes the daemon, so the id stays. Reaping it keeps an early
	// end visible as long as this process lives.
	go func() { _ = cmd.Wait() }()
	data, err := json.Marshal(record)
	if err != nil {
		return err
	}
	return writeFile(l.process(d.name), append(data, '\n'), 0o644)
}

// daemonPath is where daemons look for programs: what was unpacked first.
func daemonPath(l layout) string {
	return strings.Join([]string{
		l.path("bin"), l.debian("usr", "bin"), l.debian("usr", "sbin"),
		"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin",
	}, ":")
}

// mustLive turns the end of a daemon into an error.
func mustLive(l layout, names ...string) error {
	for _, name := range names {
		if _, ok := readDaemon(l, name); !ok {
			return finalError{fmt.Errorf("%s ended; its log is %s", name, l.log(name))}
		}
	}
	return nil
}

// daemonNames lists all daemons that were ever started and not forgotten.
func daemonNames(l layout) ([]string, error) {
	entries, err := os.ReadDir(filepath.Dir(l.process("")))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, entry := range entries {
		if name, ok := strings.CutSuffix(entry.Name(), ".json"); ok {
			names = append(names, name)
		}
	}
	return names, err
}
