/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"knative.dev/pkg/kmeta"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// place says where the agent finds what is mounted for a sink or a dead letter
// sink. That of the default name is as it was before there were several sinks:
// another one would make a Revision of each service.
type place struct {
	tokenVolume, tokenDirectory string
	// trust and address are the paths of a directory and of a file in
	// trustDirectory. The file holds a sinkaddress.Address.
	trust, address string
}

func placeOfSink(name string) place {
	if name == v1beta1.DefaultSinkName {
		return place{v1beta1.ReservedNamePrefix + "sink-token", "/var/run/sidenote/sink", "sink", "sink-address"}
	}
	return place{volumeOf("token", name), "/var/run/sidenote/sinks/" + name, "sinks/" + name, "addresses/" + name}
}

func placeOfDeadLetterSink(name string) place {
	if name == v1beta1.DefaultSinkName {
		return place{v1beta1.ReservedNamePrefix + "dead-letter-token", "/var/run/sidenote/dead-letter", "dead-letter", "dead-letter-address"}
	}
	return place{volumeOf("letter-token", name), "/var/run/sidenote/dead-letters/" + name, "dead-letters/" + name, "dead-letter-addresses/" + name}
}

// spoolPlace returns the volume of a sink's spool and where it is mounted.
func spoolPlace(name string) (volume, directory string) {
	if name == v1beta1.DefaultSinkName {
		return v1beta1.ReservedNamePrefix + "spool", "/var/lib/sidenote/spool"
	}
	return volumeOf("spool", name), "/var/lib/sidenote/spools/" + name
}

// authPlace returns the volume of a sink's credentials and where it is mounted.
func authPlace(name string) (volume, directory string) {
	return volumeOf("auth", name), "/var/run/sidenote/auth/" + name
}

// volumeOf names a volume of a sink. No purpose is the beginning of another one and
// a dash, so no two volumes have one name.
func volumeOf(purpose, sink string) string {
	return kmeta.ChildName(v1beta1.ReservedNamePrefix+purpose, "-"+sink)
}
