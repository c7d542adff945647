/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agentconfig

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// configArguments are all arguments but those of each sink.
func configArguments() []argument[Config] {
	return slices.Concat(exchangeArguments, anySinkArguments, outputArguments)
}

// sinkArguments are all arguments of a sink.
func sinkArguments() []argument[Sink] {
	return slices.Concat(connectionArguments, contentArguments, deliveryArguments)
}

// Args returns the arguments that Parse reads as this configuration. They leave
// out every field that is zero. The order is part of the contract: another one
// would make a new Revision of each service.
func (c *Config) Args() []string {
	line := write(nil, "", c, exchangeArguments)
	for i := range c.Sinks {
		sink := &c.Sinks[i]
		if value := sink.value(); value != "" {
			line = append(line, "--"+sinkArgument+"="+value)
		}
		line = write(line, sink.prefix(), sink, connectionArguments)
		line = write(line, sink.prefix(), sink, contentArguments)
	}
	line = write(line, "", c, anySinkArguments)
	for i := range c.Sinks {
		line = write(line, c.Sinks[i].prefix(), &c.Sinks[i], deliveryArguments)
	}
	return write(line, "", c, outputArguments)
}

func write[T any](line []string, prefix string, t *T, rows []argument[T]) []string {
	for _, row := range rows {
		for _, value := range row.write(t) {
			line = append(line, "--"+prefix+row.name+"="+value)
		}
	}
	return line
}

func (s *Sink) prefix() string { return sinkPrefix + cmp.Or(s.Name, DefaultSinkName) + "." }

// value is that of --sink, empty if there is none.
func (s *Sink) value() string {
	address := stdoutSink
	switch {
	case s.URL != nil:
		address = s.URL.String()
	case s.AddressFile != "":
		return ""
	}
	if s.Name == "" || s.Name == DefaultSinkName {
		return address
	}
	return s.Name + "=" + address
}

// Argument is one argument as help and reference show it.
type Argument struct {
	Name string
	// Format names what the value is, as PORT or DURATION.
	Format string
	// Default is empty if there is none, or where Doc says it.
	Default, Doc string
}

// Arguments lists all arguments, in the order of the help text.
func Arguments() []Argument {
	var config Config
	config.setDefaults()
	sink := Sink{Profile: ProfileSidenote}
	sink.setDefaults("")
	return slices.Concat(
		describe("", &config, exchangeArguments),
		[]Argument{
			{Name: sinkArgument, Format: "URL", Doc: "address of the sink: an http or https URL, or stdout for one line of JSON for each event. Short for --sink=default=URL. Without a sink, events are only counted"},
			{Name: sinkArgument, Format: "NAME=URL", Doc: "one of several sinks, with a name of a-z, 0-9 and -"},
		},
		describe(sinkPrefix+"NAME.", &sink, sinkArguments()),
		describe("", &config, anySinkArguments),
		describe("", &config, outputArguments),
	)
}

func describe[T any](prefix string, defaults *T, rows []argument[T]) []Argument {
	described := make([]Argument, 0, len(rows))
	for _, row := range rows {
		described = append(described, Argument{
			Name: prefix + row.name, Format: row.format, Default: strings.Join(row.write(defaults), ","), Doc: row.doc,
		})
	}
	return described
}

// Usage writes the help text.
func Usage(w io.Writer) {
	fmt.Fprint(w, `The Sidenote agent: a proxy in front of a model that sends every request and
response as a CloudEvent.

  agent --target=http://127.0.0.1:8080 --sink=stdout --metadata team=x

`)
	for _, argument := range Arguments() {
		doc := argument.Doc
		if argument.Default != "" {
			doc += " (default " + argument.Default + ")"
		}
		fmt.Fprintf(w, "  --%s=%s\n        %s\n", argument.Name, argument.Format, doc)
	}
	fmt.Fprint(w, "\nThe environment variable K_REVISION sets the attribute revision.\n")
}
