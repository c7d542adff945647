/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Crash ends the first process of a container that it shares the processes of,
// as an ephemeral container with that target does. The kernel keeps SIGKILL
// from the first process of a container; on SIGABRT a Go program ends at once,
// without a chance to do anything.
package main

import (
	"log"
	"os"
	"syscall"
)

func main() {
	const first = 1
	if os.Getpid() == first {
		log.Fatal("this is a container's first process itself: make it an ephemeral container with a targetContainerName")
	}
	if err := syscall.Kill(first, syscall.SIGABRT); err != nil {
		log.Fatal(err)
	}
}
