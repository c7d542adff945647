/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agentconfig

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"time"
)

const (
	// DefaultSinkName names the sink of --sink=URL.
	DefaultSinkName = "default"
	// DefaultRetryAfterMax caps what a sink can ask for by Retry-After.
	DefaultRetryAfterMax = 20 * time.Second
	// MinSpoolBytes is the least of Spool.Bytes.
	MinSpoolBytes = 128 << 10

	defaultTimeout = 30 * time.Second
	deadLetterName = "dead-letter"
)

// Sink is the configuration of one receiver of events.
type Sink struct {
	// Name is unique among an agent's sinks.
	Name string
	// URL is nil for the standard output. With an AddressFile it may be nil, too.
	URL *url.URL
	// AddressFile is a file with the sink's current address, which replaces URL.
	AddressFile string
	// CACerts is a PEM bundle; CACertsFile the path of one.
	CACerts, CACertsFile string
	// CACertsDir has further bundles, one in each file.
	CACertsDir string
	// TokenFile has a bearer token for the sink.
	TokenFile string
	// TokenAudience is the token's audience. With an AddressFile, the token is
	// sent only while the file has this audience.
	TokenAudience string
	// BasicAuthDir has the files username and password for the sink. It must not be
	// combined with TokenFile.
	BasicAuthDir string

	// Mode and Events say what the sink gets. By default they are those of the
	// Config, and Events without those the default of Profile. Like Profile and
	// Filter, they are unset in a dead letter sink.
	Mode   Mode
	Events []Kind
	// Profile is the form of the events for the sink.
	Profile Profile
	// Filter selects events: the JSON of a filter of a Knative Trigger. Empty selects
	// all.
	Filter string

	// Schedule says how often and when a failed event is tried again.
	Schedule Schedule
	// Timeout bounds one attempt.
	Timeout time.Duration
	// RetryAfterMax caps a Retry-After; 0 ignores it.
	RetryAfterMax *time.Duration
	// DeadLetter receives the events that the sink doesn't accept. It may be nil.
	DeadLetter *Sink
	// Spool keeps waiting events on a disk. It may be nil.
	Spool *Spool
}

// Spool is the configuration of a sink's events on a disk.
type Spool struct {
	// Directory is the sink's own.
	Directory string
	// Bytes is the upper bound of the size of its files.
	Bytes int64
	// DropNewest makes a full spool drop new events instead of the oldest.
	DropNewest bool
	// Sync makes spooled events survive a power loss.
	Sync bool
}

// Stdout reports whether the sink is the standard output.
func (s *Sink) Stdout() bool { return s.URL == nil && s.AddressFile == "" }

func (s *Sink) setDefaults(name string) {
	s.Name = cmp.Or(s.Name, name)
	s.Timeout = cmp.Or(s.Timeout, defaultTimeout)
	s.RetryAfterMax = cmp.Or(s.RetryAfterMax, new(DefaultRetryAfterMax))
	if s.DeadLetter != nil {
		s.DeadLetter.setDefaults(s.Name + "." + deadLetterName)
	}
}

// setContentDefaults sets what the sink gets. The Config has its Mode, and Events only
// if they were given. A dead letter sink has none of it: it gets the events of its
// sink as they are.
func (s *Sink) setContentDefaults(c *Config) {
	s.Mode = cmp.Or(s.Mode, c.Mode)
	s.Profile = cmp.Or(s.Profile, ProfileSidenote)
	switch {
	case len(s.Events) > 0:
	case len(c.Events) > 0:
		s.Events = c.Events
	case s.Profile == ProfileSidenote:
		s.Events = c.Sampling.defaultKinds()
	default:
		s.Events = s.Profile.DefaultKinds()
	}
}

// connectionArguments say how a sink is reached. Their names follow that of the
// sink, as those of the other tables of sinks do.
var connectionArguments = []argument[Sink]{
	{"address-file", "FILE", "file with the sink's current address, which replaces the URL: a JSON object with url, and with audience if the sink asks for a token. An object without url means that the sink has no address. The file need not exist yet. The agent reads it at most once a second while it sends events. --sink=NAME=URL is then optional",
		field(func(s *Sink) *string { return &s.AddressFile }, anyText)},
	{"ca-certs", "PEM", "certificate authorities in PEM that are trusted for the sink, beside those of the system",
		field(func(s *Sink) *string { return &s.CACerts }, anyText)},
	{"ca-certs-file", "FILE", "the same, from a file",
		field(func(s *Sink) *string { return &s.CACertsFile }, anyText)},
	{"ca-certs-dir", "DIR", "the same, from every file of a directory, which need not exist yet. The agent reads file and directory again when they change",
		field(func(s *Sink) *string { return &s.CACertsDir }, anyText)},
	{"token-file", "FILE", "file with a bearer token. The agent reads it again when it changes, and sends the token only over https or to a host of the cluster",
		field(func(s *Sink) *string { return &s.TokenFile }, anyText)},
	{"token-audience", "AUDIENCE", "audience of the token. With address-file, the token is sent only while the file has this audience",
		field(func(s *Sink) *string { return &s.TokenAudience }, anyText)},
	{"basic-auth-dir", "DIR", "directory with the files username and password, for basic authentication. The agent reads them again when they change, and sends them only over https or to a host of the cluster. Must not be combined with token-file",
		field(func(s *Sink) *string { return &s.BasicAuthDir }, anyText)},
}

// contentArguments say what a sink gets.
var contentArguments = []argument[Sink]{
	{"mode", "MODE", "as --mode, for this sink (default: the value of --mode)",
		field(func(s *Sink) *Mode { return &s.Mode }, choice("mode", Modes()))},
	{"events", "LIST", "as --events, for this sink (default: the value of --events; without that, request and response if profile is kserve)", kindsOf(func(s *Sink) *[]Kind { return &s.Events })},
	{"profile", "PROFILE", "form of the events: sidenote, or kserve, which subscribers of KServe's logger understand",
		field(func(s *Sink) *Profile { return &s.Profile }, choice("profile", Profiles()))},
	{"filter", "JSON", "selects events: a filter of a Knative Trigger, with one of exact, prefix, suffix, all, any, not and cesql",
		field(func(s *Sink) *string { return &s.Filter }, filter)},
}

// anySinkArguments are of all sinks together. Args writes them between the
// connections and the deliveries.
var anySinkArguments = []argument[Config]{
	{"cluster-domain", "DOMAIN", "DNS domain of the cluster. Without TLS a token goes only to hosts under .svc and under .svc.DOMAIN",
		field(func(c *Config) *string { return &c.ClusterDomain }, domain)},
	{"allow-loopback-sinks", "BOOL", "whether a sink may have a loopback address: true or false. Without it, only if its URL names the loopback, as http://localhost does. Link-local addresses and those of metadata services are always refused",
		optional(func(c *Config) **bool { return &c.AllowLoopbackSinks }, boolean)},
}

// deliveryArguments are retries, dead letters and the spool.
var deliveryArguments = slices.Concat([]argument[Sink]{
	{"retry", "COUNT", fmt.Sprintf("number of attempts after the first, at most %d. Without it, as many as fit into %s", MaxRetries, EventDeadline),
		optional(func(s *Sink) **int { return &s.Schedule.Retries }, integer("count", 0, MaxRetries))},
	{"backoff-policy", "POLICY", "growth of the wait before a retry: linear or exponential (default exponential, if retry or backoff-delay is given)",
		field(func(s *Sink) *BackoffPolicy { return &s.Schedule.Policy }, choice("policy", BackoffPolicies()))},
	{"backoff-delay", "DURATION", fmt.Sprintf("wait before the first retry (default %s, if retry or backoff-policy is given)", defaultRetryDelay),
		optional(func(s *Sink) **time.Duration { return &s.Schedule.Delay }, durationFrom(0))},
	{"timeout", "DURATION", "longest duration of one attempt",
		field(func(s *Sink) *time.Duration { return &s.Timeout }, durationFrom(time.Nanosecond))},
	{"retry-after-max", "DURATION", "upper bound of a Retry-After. 0s ignores Retry-After",
		optional(func(s *Sink) **time.Duration { return &s.RetryAfterMax }, durationFrom(0))},
	{deadLetterName, "URL", "address of the dead letter sink, which receives the events that this sink doesn't accept",
		ofDeadLetter(field(func(s *Sink) **url.URL { return &s.URL }, sinkURL))},
}, deadLetterArguments(), []argument[Sink]{
	{"spool-dir", "DIR", "directory for the events that wait for the sink, on a volume that outlives the container. Each sink needs its own directory. It need not exist yet, but its parent must",
		ofSpool(func(s *Spool) *string { return &s.Directory }, anyText)},
	{"spool-bytes", "BYTES", fmt.Sprintf("upper bound of the size of the spool's files, at least %d. Required with spool-dir. The volume should have a quarter more", MinSpoolBytes),
		ofSpool(func(s *Spool) *int64 { return &s.Bytes }, bytesFrom(MinSpoolBytes))},
	{"spool-when-full", "WHICH", "events that a full spool drops: oldest or newest (default oldest)",
		ofSpool(func(s *Spool) *bool { return &s.DropNewest }, dropNewest)},
	{"spool-sync", "BOOL", "whether spooled events survive a power loss: true or false (default false)",
		ofSpool(func(s *Spool) *bool { return &s.Sync }, boolean)},
})

// deadLetterArguments are the connectionArguments of a dead letter sink.
func deadLetterArguments() []argument[Sink] {
	arguments := slices.Clone(connectionArguments)
	for i := range arguments {
		row := &arguments[i]
		row.doc = "as " + row.name + ", for the dead letter sink"
		row.name = deadLetterName + "." + row.name
		row.codec = ofDeadLetter(row.codec)
	}
	return arguments
}

func ofDeadLetter(of codec[Sink]) codec[Sink] {
	return within(func(s *Sink) **Sink { return &s.DeadLetter }, of)
}

// ofSpool is the codec of a field that is set wherever there is a spool.
func ofSpool[V any](at func(*Spool) *V, as text[V]) codec[Sink] {
	return within(func(s *Sink) **Spool { return &s.Spool }, codec[Spool]{
		read:  func(s *Spool, value string) (err error) { *at(s), err = as.parse(value); return err },
		write: func(s *Spool) []string { return []string{as.format(*at(s))} },
	})
}

// validate says what is missing or must not be combined.
func (s *Sink) validate() error {
	switch {
	case s.TokenFile != "" && s.BasicAuthDir != "":
		return fmt.Errorf("two credentials for one sink: remove --sink.%s.token-file or --sink.%s.basic-auth-dir", s.Name, s.Name)
	case s.DeadLetter != nil && s.DeadLetter.TokenFile != "" && s.DeadLetter.BasicAuthDir != "":
		return fmt.Errorf("two credentials for one dead letter sink: remove --sink.%[1]s.%[2]s.token-file or --sink.%[1]s.%[2]s.basic-auth-dir", s.Name, deadLetterName)
	case s.DeadLetter != nil && s.DeadLetter.Stdout():
		return fmt.Errorf("missing dead letter sink: write --sink.%s.dead-letter=URL", s.Name)
	case s.Spool == nil:
		return nil
	case s.Stdout():
		return fmt.Errorf("the standard output can't have a spool: remove --sink.%s.spool-dir", s.Name)
	case s.Spool.Directory == "":
		return fmt.Errorf("missing directory of the spool: write --sink.%s.spool-dir=DIR", s.Name)
	case s.Spool.Bytes == 0:
		return fmt.Errorf("missing limit of the spool: write --sink.%s.spool-bytes=BYTES", s.Name)
	default:
		return nil
	}
}
