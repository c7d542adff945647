/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Event-display prints each CloudEvent that it gets as indented JSON, all its
// attributes beside each other and its data where that is JSON itself, as a
// subscriber's view for the samples.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"os/signal"
	"syscall"

	cloudevents "github.com/cloudevents/sdk-go/v2"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	client, err := cloudevents.NewClientHTTP()
	if err != nil {
		log.Fatal(err)
	}
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	if err := client.StartReceiver(ctx, func(event cloudevents.Event) error {
		return out.Encode(event)
	}); err != nil {
		log.Fatal(err)
	}
}
