/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// mount is a line of /proc/self/mountinfo (proc_pid_mountinfo(5)).
type mount struct {
	point      string
	filesystem string
	// super holds the options of the file system itself, such as a cgroup
	// hierarchy's controllers.
	super []string
}

func parseMounts(mountinfo string) []mount {
	var mounts []mount
	for line := range strings.Lines(mountinfo) {
		before, after, ok := strings.Cut(strings.TrimSpace(line), " - ")
		first, second := strings.Fields(before), strings.Fields(after)
		if !ok || len(first) < 6 || len(second) < 3 {
			continue
		}
		mounts = append(mounts, mount{
			point:      unescapeMount(first[4]),
			filesystem: second[0],
			super:      strings.Split(second[2], ","),
		})
	}
	return mounts
}

// unescapeMount decodes the octal escapes of spaces and the like.
func unescapeMount(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+3 < len(text) {
			if code, err := strconv.ParseUint(text[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(code))
				i += 3
				continue
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

func readMounts() ([]mount, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	return parseMounts(string(data)), err
}

func mountPoints() ([]string, error) {
	mounts, err := readMounts()
	points := make([]string, 0, len(mounts))
	for _, mount := range mounts {
		points = append(points, mount.point)
	}
	return points, err
}

// below returns the mount points under a folder, the last mounted first.
func below(folder string, points []string) []string {
	var found []string
	for _, point := range points {
		if strings.HasPrefix(point, folder+"/") {
			found = append(found, point)
		}
	}
	slices.Reverse(found)
	return found
}

// unmountBelow unmounts all that is mounted under a folder.
func unmountBelow(folder string) error {
	points, err := mountPoints()
	if err != nil {
		return err
	}
	var failures []error
	for _, point := range below(folder, points) {
		// Detached, so that an open file can't hold it.
		err := syscall.Unmount(point, syscall.MNT_DETACH)
		if err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOENT) {
			failures = append(failures, fmt.Errorf("unmounting %s: %w", point, err))
		}
	}
	return errors.Join(failures...)
}
