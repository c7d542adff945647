/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package resources

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/sidenote-dev/sidenote/pkg/agent/arguments"
)

// maxArgumentBytes bounds one argument. Linux takes 128 KiB, and starts no
// container with a longer one.
const maxArgumentBytes = 32 << 10

// agentLine collects the agent's arguments, and what is left out of them.
type agentLine struct {
	// owner is the index of the model's container.
	owner     int
	arguments []lineArgument
	ignored   []string
}

type lineArgument struct{ name, value string }

func (a lineArgument) String() string { return "--" + a.name + "=" + a.value }

func newAgentLine(owner int) *agentLine { return &agentLine{owner: owner} }

func (l *agentLine) argument(name, value string) {
	l.arguments = append(l.arguments, lineArgument{name, value})
}

// ignore says that a field of the logger counts for nothing, and why.
func (l *agentLine) ignore(field string, why error) {
	l.ignoreField("spec.predictor.logger."+field, why)
}

// ignoreOfModel says so of a field of the model's container.
func (l *agentLine) ignoreOfModel(field string, why error) {
	l.ignoreField(fmt.Sprintf("spec.predictor.containers[%d].%s", l.owner, field), why)
}

func (l *agentLine) ignoreField(path string, why error) {
	l.ignored = append(l.ignored, path+": "+oneLine(why))
}

// oneLine gives an error without the line breaks that Knative's have.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// accepted gives the arguments that the agent takes, as the kubelet passes
// them on, and what is ignored. The agent's own parser decides, so there is
// one rule: an argument that it refuses beside those before it is left out.
func (l *agentLine) accepted() (accepted, ignored []string) {
	all := make([]string, 0, len(l.arguments))
	for _, argument := range l.arguments {
		all = append(all, argument.String())
	}
	if refusal(all) != nil {
		all = l.acceptedOneByOne()
	}
	for i := range all {
		all[i] = literal(all[i])
	}
	return all, l.ignored
}

func (l *agentLine) acceptedOneByOne() []string {
	accepted := make([]string, 0, len(l.arguments))
	hasSink := false
	for rest := l.arguments; len(rest) > 0; {
		first, length := rest[0], groupLength(rest)
		candidate := accepted
		for _, argument := range rest[:length] {
			candidate = append(candidate, argument.String())
		}
		rest = rest[length:]
		err := refusal(candidate)
		switch {
		case err == nil:
			accepted = candidate
			hasSink = hasSink || first.name == "sink" || first.name == "sink.default.address-file"
		case strings.HasPrefix(first.name, "sink.") && !hasSink:
			// Its sink is left out, and that was said.
		default:
			l.ignoreArgument(first.name, err)
		}
	}
	return accepted
}

// groupLength is how many of the arguments mean something only together.
func groupLength(arguments []lineArgument) int {
	for _, prefix := range []string{"sink.default.spool-", "metrics-", "tracing-"} {
		length := 0
		for length < len(arguments) && strings.HasPrefix(arguments[length].name, prefix) {
			length++
		}
		if length > 0 {
			return length
		}
	}
	return 1
}

// refusal says why the agent would not start with these arguments, or is nil.
func refusal(line []string) error {
	for _, argument := range line {
		switch {
		case len(argument) > maxArgumentBytes:
			return fmt.Errorf("it has %d bytes: write at most %d", len(argument), maxArgumentBytes)
		case strings.Contains(argument, "\x00"):
			return errors.New("it holds a null character, which no argument of a process may")
		}
	}
	_, err := arguments.Parse(line)
	return err
}

// argumentFields are the logger's fields by the arguments that they give.
var argumentFields = map[string]string{
	"mode": "mode", "events": "events", "content-mode": "contentMode", "paths": "paths",
	"max-payload-bytes": "maxPayloadBytes", "metadata": "metadata", "sink": "sink",
	"sink.default.retry": "delivery.retry", "sink.default.backoff-policy": "delivery.backoffPolicy",
	"sink.default.backoff-delay": "delivery.backoffDelay", "sink.default.timeout": "delivery.timeout",
	"sink.default.retry-after-max": "delivery.retryAfterMax", "sink.default.dead-letter": "delivery.deadLetterSink",
	"sink.default.spool-dir": "spool",
}

// argumentPrefix is how the parser names the argument, which its field stands
// for.
var argumentPrefix = regexp.MustCompile(`^arguments? --[a-z0-9.*-]+: `)

// ignoreArgument names the field of an argument that the agent refuses.
func (l *agentLine) ignoreArgument(name string, why error) {
	why = errors.New(argumentPrefix.ReplaceAllString(why.Error(), ""))
	switch {
	case argumentFields[name] != "":
		l.ignore(argumentFields[name], why)
	case name == "readiness-probe":
		l.ignoreOfModel(readyToServe, why)
	case name == "startup-probe":
		l.ignoreOfModel(startup, why)
	case name == "target":
		l.ignoreOfModel("ports", why)
	default:
		l.ignoreField("--"+name, why)
	}
}

// literal escapes what the kubelet would expand in an argument: "$$" is a
// dollar sign, "$(NAME)" a variable.
func literal(value string) string { return strings.ReplaceAll(value, "$", "$$") }
