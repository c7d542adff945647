/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// maxArgumentBytes bounds one argument. Linux takes 128 KiB, and starts no
// container with a longer one.
const maxArgumentBytes = 32 << 10

// agentDraft collects the settings of an agent's configuration. An agent that
// refuses its arguments takes its model down, so a setting that it would refuse
// is left out.
type agentDraft struct {
	// loggerField and modelField are the paths of the logger and of the model's
	// container.
	loggerField, modelField string
	settings                []setting
}

// setting is a part of the configuration that holds or is left out as a whole.
type setting struct {
	// field is the path of the field that gives it.
	field string
	// apply sets it, or says why it can't be.
	apply func(*agentconfig.Config) error
}

// add adds a setting that a field of the object gives.
func (d *agentDraft) add(field string, apply func(*agentconfig.Config) error) {
	d.settings = append(d.settings, setting{field, apply})
}

// addOfLogger adds one that a field of the logger gives.
func (d *agentDraft) addOfLogger(field string, apply func(*agentconfig.Config) error) {
	d.add(d.loggerField+"."+field, apply)
}

// addOfModel adds one that a field of the model's container gives.
func (d *agentDraft) addOfModel(field string, apply func(*agentconfig.Config) error) {
	d.add(d.modelField+"."+field, apply)
}

// addOfSink adds one of a sink. It is left out where the sink is, which is said of
// the sink.
func (d *agentDraft) addOfSink(sink v1beta1.EffectiveSink, field string, apply func(*agentconfig.Sink) error) {
	d.addOfLogger(sink.Field(field), func(c *agentconfig.Config) error {
		to := namedSink(c, sink.Name)
		if to == nil {
			return nil
		}
		return apply(to)
	})
}

// refuse says that a field counts for nothing, and why.
func refuse(why error) func(*agentconfig.Config) error {
	return func(*agentconfig.Config) error { return why }
}

// args returns the arguments of the settings that the agent accepts beside those
// before them, as the kubelet passes them on, and says why the others are
// ignored.
func (d *agentDraft) args() (args, ignored []string) {
	args, err := argsOf(d.settings)
	if err != nil {
		args, ignored = nil, nil
		var accepted []setting
		for _, next := range d.settings {
			more, err := argsOf(append(accepted, next))
			if err != nil {
				ignored = append(ignored, next.field+": "+reason(err))
				continue
			}
			accepted, args = append(accepted, next), more
		}
	}
	args = slices.Clone(args)
	for i := range args {
		args[i] = literal(args[i])
	}
	return args, ignored
}

// argsOf returns the arguments of settings, or says why the agent would refuse
// them. Its own parser decides, so there is one rule.
func argsOf(settings []setting) ([]string, error) {
	var config agentconfig.Config
	for _, setting := range settings {
		if err := setting.apply(&config); err != nil {
			return nil, err
		}
	}
	args := config.Args()
	for _, argument := range args {
		switch {
		case len(argument) > maxArgumentBytes:
			return nil, fmt.Errorf("it has %d bytes: write at most %d", len(argument), maxArgumentBytes)
		case strings.Contains(argument, "\x00"):
			return nil, errors.New("it contains a null character, which an argument of a process must not contain")
		}
	}
	_, err := agentconfig.Parse(args)
	return args, err
}

// reason returns an error on one line, which Knative's are not, and without the
// name of an argument, which the field stands for.
func reason(err error) string {
	if refused := new(agentconfig.ArgumentError); errors.As(err, &refused) {
		err = refused.Err
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}

// literal escapes what the kubelet would expand in an argument: "$$" is a
// dollar sign, "$(NAME)" a variable.
func literal(value string) string { return strings.ReplaceAll(value, "$", "$$") }
