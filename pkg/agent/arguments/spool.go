/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package arguments

import (
	"errors"
	"fmt"

	"github.com/sidenote-dev/sidenote/pkg/agent/spool"
)

// Spool is where a sink's overflow of events is kept.
type Spool struct {
	// Directory is the sink's own.
	Directory string
	// Bytes is the most that its files may take.
	Bytes int64
	// DropNewest says that events that find the spool full are given up, and
	// not the oldest in it.
	DropNewest bool
	// Sync has what is spooled survive a loss of power.
	Sync bool
}

var spoolOptions = []sinkOption{
	{
		"spool-dir", "DIR", "a directory that keeps the events that wait for the sink, and outlives the agent: of this sink alone, on a volume that a restart of the container leaves as it was. It need not be there yet where its parent is",
		func(s *Sink, v string) error {
			if v == "" {
				return errors.New("spool-dir is empty: write a directory")
			}
			s.spool().Directory = v
			return nil
		},
	},
	{
		"spool-bytes", "BYTES", fmt.Sprintf("the most that the files there may take, from %d; give it with spool-dir, and leave the volume a quarter more", spool.MinLimit),
		func(s *Sink, v string) (err error) { s.spool().Bytes, err = parseBytes(v, spool.MinLimit); return err },
	},
	{
		"spool-when-full", "WHICH", "which events are dropped there: the oldest or the newest (default oldest)",
		func(s *Sink, v string) error {
			s.spool().DropNewest = v == "newest"
			if v != "oldest" && v != "newest" {
				return fmt.Errorf("spool-when-full is %q: write oldest or newest", v)
			}
			return nil
		},
	},
	{
		"spool-sync", "BOOL", "whether what is spooled survives a loss of power, too: true or false (default false)",
		func(s *Sink, v string) (err error) { s.spool().Sync, err = parseBool(v); return err },
	},
}

func (s *Sink) spool() *Spool {
	if s.Spool == nil {
		s.Spool = new(Spool)
	}
	return s.Spool
}

// validate names the argument that is missing.
func (s *Spool) validate(sink *Sink) error {
	switch {
	case s == nil:
		return nil
	case s.Directory == "":
		return fmt.Errorf("there is no spool: write --sink.%s.spool-dir=DIR", sink.Name)
	case s.Bytes == 0:
		return fmt.Errorf("the spool has no limit: write --sink.%s.spool-bytes=BYTES", sink.Name)
	case sink.Stdout():
		return fmt.Errorf("the standard output has no spool: leave --sink.%s.spool-dir out", sink.Name)
	}
	return nil
}

// validateSpools tells of two sinks that would share a directory.
func validateSpools(sinks []Sink) error {
	owners := make(map[string]string)
	for _, sink := range sinks {
		if sink.Spool == nil {
			continue
		}
		if owner, taken := owners[sink.Spool.Directory]; taken {
			return fmt.Errorf("argument --sink.%s.spool-dir: sink %q has the same directory: give each its own", sink.Name, owner)
		}
		owners[sink.Spool.Directory] = sink.Name
	}
	return nil
}
