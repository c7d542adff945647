/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// tail is how much of a log is shown when something failed.
const tailLines = 25

// command is a program to be run to its end.
type command struct {
	dir         string
	environment []string
	stdin       io.Reader
	// log is the file that gets the output; "" keeps it in memory.
	log       string
	arguments []string
}

// run runs a command and returns what it wrote to its standard output (empty
// where a log takes it). A failure shows the last lines.
func (c command) run(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, c.arguments[0], c.arguments[1:]...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), c.environment...)
	cmd.Stdin = c.stdin
	// An interrupted go build ends its compilers only on SIGINT.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = 10 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if c.log != "" {
		if err := os.MkdirAll(filepath.Dir(c.log), 0o755); err != nil {
			return "", err
		}
		file, err := os.OpenFile(c.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
		if err != nil {
			return "", err
		}
		defer file.Close()
		fmt.Fprintf(file, "\n%s $ %s\n", time.Now().UTC().Format(time.RFC3339), strings.Join(c.arguments, " "))
		cmd.Stdout, cmd.Stderr = file, io.MultiWriter(file, &stderr)
	}
	err := cmd.Run()
	switch {
	case err == nil:
		return stdout.String(), nil
	case ctx.Err() != nil:
		return stdout.String(), fmt.Errorf("%s: %w", filepath.Base(c.arguments[0]), context.Cause(ctx))
	case errors.Is(err, exec.ErrNotFound):
		return "", fmt.Errorf("%s is not installed: %w", c.arguments[0], err)
	}
	message := fmt.Sprintf("%s %s: %v", filepath.Base(c.arguments[0]), summary(c.arguments[1:]), err)
	if last := lastLines(stderr.String(), tailLines); last != "" {
		message += "\n" + last
	}
	if c.log != "" {
		message += "\n(all of it: " + c.log + ")"
	}
	return stdout.String(), errors.New(message)
}

// summary is the beginning of a command's arguments, for a message.
func summary(arguments []string) string {
	if len(arguments) > 4 {
		return strings.Join(arguments[:4], " ") + " …"
	}
	return strings.Join(arguments, " ")
}

// lastLines returns at most n last lines of a text, indented.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(lines) == 1 && lines[0] == "" {
		return ""
	}
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return "    " + strings.Join(lines, "\n    ")
}

// lastLinesOfFile is lastLines of a file's last 64 KiB.
func lastLinesOfFile(path string, n int) string {
	file, err := os.Open(path)
	if err != nil {
		return "    (no log: " + err.Error() + ")"
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.Size() > 64<<10 {
		if _, err := file.Seek(-64<<10, io.SeekEnd); err != nil {
			return "    " + err.Error()
		}
	}
	data, err := io.ReadAll(file)
	if err != nil {
		return "    " + err.Error()
	}
	return lastLines(sinceLastStart(string(data)), n)
}

// sinceLastStart is what a log says of the last run of its daemon: each run
// begins with a line of the time, "$" and the command.
func sinceLastStart(log string) string {
	starts := startLine.FindAllStringIndex(log, -1)
	if len(starts) == 0 {
		return log
	}
	return log[starts[len(starts)-1][0]:]
}

var startLine = regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\dT[\d:]+Z \$ /`)

// await calls ready until it holds or the time is over. What ready says last
// is the reason for giving up.
func await(ctx context.Context, limit time.Duration, ready func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var reason error
	for {
		err := ready(limited)
		if err == nil {
			return nil
		}
		var final finalError
		if errors.As(err, &final) {
			return err
		}
		// An attempt that was cut short says less than the one before it.
		if reason == nil || limited.Err() == nil {
			reason = err
		}
		select {
		case <-limited.Done():
		case <-time.After(300 * time.Millisecond):
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if limited.Err() != nil {
			return fmt.Errorf("not ready after %s: %w", elapsed(limit), reason)
		}
	}
}

// finalError is one that waiting longer can't mend.
type finalError struct{ error }

func (e finalError) Unwrap() error { return e.error }
