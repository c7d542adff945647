/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	"knative.dev/pkg/ptr"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// one is the list of one sink with the default name, or of none.
func one(sink, letters *AppliedSink) []AppliedPair {
	if sink == nil && letters == nil {
		return nil
	}
	return []AppliedPair{{v1beta1.DefaultSinkName, sink, letters}}
}

// named is one sink that is named now.
func named(sink DesiredSink, letters *DesiredSink) []DesiredPair {
	return []DesiredPair{{v1beta1.DefaultSinkName, sink, letters}}
}

const severalSinks = `{
  mode: all,
  profile: sidenote,
  delivery: {retry: 3, deadLetterSink: {ref: {apiVersion: eventing.knative.dev/v1, kind: Broker, name: letters, namespace: models}}},
  auth: {bearer: {name: collector, key: token}},
  sinks: [
    {name: monitoring, sink: {ref: {apiVersion: eventing.knative.dev/v1, kind: Broker, name: monitoring, namespace: models}}, mode: response, events: [response, stream], profile: kserve, filter: {exact: {type: x}}},
    {name: audit, url: "https://audit.example/in", spool: {sizeLimit: 1Gi}, delivery: {retry: 9}},
    {name: other, url: "https://other.example", auth: {basic: {name: other}}, spool: {sizeLimit: 2Gi}}
  ]}`

// severalDesired is the desired state of the logger severalSinks.
func severalDesired(is *v1beta1.InferenceService) Desired {
	desired := Desired{Agent: agentSettings()}
	for _, sink := range is.Spec.Predictor.Logger.EffectiveSinks() {
		pair := DesiredPair{Name: sink.Name, Sink: DesiredSink{Destination: *sink.Destination(), Address: &duckv1.Addressable{URL: apis.HTTPS(sink.Name + ".example")}}}
		if sink.Sink != nil {
			pair.Sink.Address.Audience = ptr.String(v1beta1.OwnAudience(*sink.Sink))
		}
		if letters := sink.DeadLetterSink(); letters != nil {
			pair.DeadLetterSink = &DesiredSink{Destination: *letters, Address: addressOf("letters")}
		}
		desired.Sinks = append(desired.Sinks, pair)
	}
	return desired
}

func TestEachSinkHasItsOwnSettings(t *testing.T) {
	is := unseen(t, severalSinks, "", nil)
	applied := Decide(nil, true, severalDesired(is))
	if ignored := Ignored(predictor(is), applied); len(ignored) > 0 {
		t.Fatalf("ignored: %q", ignored)
	}
	read := readByTheAgent(t, is, applied)
	byName := make(map[string]agentconfig.Sink)
	for _, sink := range read.Sinks {
		byName[sink.Name] = sink
	}
	monitoring, audit, other := byName["monitoring"], byName["audit"], byName["other"]
	for what, test := range map[string]struct{ got, want any }{
		"the number of sinks":             {len(read.Sinks), 3},
		"monitoring's mode":               {monitoring.Mode, agentconfig.ModeResponse},
		"monitoring's events":             {monitoring.Events, []agentconfig.Kind{"response", "stream"}},
		"monitoring's profile":            {monitoring.Profile, agentconfig.ProfileKServe},
		"monitoring's filter":             {monitoring.Filter, `{"exact":{"type":"x"}}`},
		"monitoring's token":              {monitoring.TokenFile, "/var/run/sidenote/sinks/monitoring/token"},
		"monitoring's audience":           {monitoring.TokenAudience, "eventing.knative.dev/broker/models/monitoring"},
		"monitoring's retries":            {*monitoring.Schedule.Retries, 3},
		"monitoring's address file":       {monitoring.AddressFile, "/etc/sidenote/trust/addresses/monitoring"},
		"monitoring's certificates":       {monitoring.CACertsDir, "/etc/sidenote/trust/sinks/monitoring"},
		"monitoring's dead letters":       {monitoring.DeadLetter != nil, true},
		"monitoring's dead letter file":   {monitoring.DeadLetter.AddressFile, "/etc/sidenote/trust/dead-letter-addresses/monitoring"},
		"monitoring's spool":              {monitoring.Spool, (*agentconfig.Spool)(nil)},
		"monitoring's static credentials": {monitoring.BasicAuthDir, ""},
		"audit's mode":                    {audit.Mode, agentconfig.ModeAll},
		"audit's events":                  {audit.Events, agentconfig.DefaultKinds()},
		"audit's profile":                 {audit.Profile, agentconfig.ProfileSidenote},
		"audit's retries":                 {*audit.Schedule.Retries, 9},
		"audit's dead letters":            {audit.DeadLetter, (*agentconfig.Sink)(nil)},
		"audit's token":                   {audit.TokenFile + audit.TokenAudience, "/var/run/sidenote/auth/audit/token"},
		"audit's spool":                   {*audit.Spool, agentconfig.Spool{Directory: "/var/lib/sidenote/spools/audit", Bytes: 768 << 20}},
		"other's token":                   {other.TokenFile, ""},
		"other's credentials":             {other.BasicAuthDir, "/var/run/sidenote/auth/other"},
		"other's spool":                   {other.Spool.Directory, "/var/lib/sidenote/spools/other"},
	} {
		if diff := cmp.Diff(test.want, test.got); diff != "" {
			t.Errorf("%s (-want, +got): %s", what, diff)
		}
	}
	if argument := strings.Join(agentOf(t, MakeService(predictor(is), "", applied)).Args, " "); strings.Contains(argument, "collector") {
		t.Errorf("the arguments name a Secret: %s", argument)
	}
}

func TestThePodStartsWithoutTheSecrets(t *testing.T) {
	is := unseen(t, severalSinks, "", nil)
	service := MakeService(predictor(is), "", Decide(nil, true, severalDesired(is)))
	secrets := make(map[string]*corev1.SecretVolumeSource)
	names := make(map[string]bool)
	for _, volume := range service.Spec.Template.Spec.Volumes {
		if names[volume.Name] || len(volume.Name) > 63 {
			t.Errorf("the volume name %q", volume.Name)
		}
		names[volume.Name] = true
		if volume.Secret != nil {
			secrets[volume.Name] = volume.Secret
		}
	}
	want := map[string]*corev1.SecretVolumeSource{
		"sidenote-auth-audit": {SecretName: "collector", Optional: ptr.Bool(true), Items: []corev1.KeyToPath{{Key: "token", Path: "token"}}},
		"sidenote-auth-other": {SecretName: "other", Optional: ptr.Bool(true), Items: []corev1.KeyToPath{{Key: "username", Path: "username"}, {Key: "password", Path: "password"}}},
	}
	if diff := cmp.Diff(want, secrets); diff != "" {
		t.Errorf("(-want, +got): %s", diff)
	}
}

// Credentials in clear text, or for an object of the cluster, are left out where
// no webhook refused them.
func TestCredentialsThatMustNotBeSent(t *testing.T) {
	for _, sink := range []string{
		`{name: a, url: "http://a.example", auth: {basic: {name: s}}}`,
		`{name: a, sink: {ref: {apiVersion: v1, kind: Service, name: a, namespace: models}}, auth: {basic: {name: s}}}`,
	} {
		is := unseen(t, `{sinks: [`+sink+`]}`, "", nil)
		applied := Decide(nil, true, severalDesired(is))
		if read := readByTheAgent(t, is, applied); read.Sinks[0].BasicAuthDir != "" {
			t.Errorf("%s: sent", sink)
		}
		if ignored := Ignored(predictor(is), applied); len(ignored) != 1 || !strings.Contains(ignored[0], "logger.sinks[0].auth: ") {
			t.Errorf("%s: it says %q", sink, ignored)
		}
	}
}

func TestASinkWithAnUnusableNameIsLeftOut(t *testing.T) {
	is := unseen(t, `{sinks: [{name: a, url: "http://a"}, {name: a, url: "http://b"}, {name: "B c", url: "http://c"}]}`, "", nil)
	applied := Decide(nil, true, severalDesired(is))
	if read := readByTheAgent(t, is, applied); len(read.Sinks) != 1 {
		t.Errorf("sinks: %+v", read.Sinks)
	}
	if ignored := Ignored(predictor(is), applied); len(ignored) != 2 || !strings.Contains(ignored[0], "sinks[1].name") || !strings.Contains(ignored[1], "sinks[2].name") {
		t.Errorf("it says %q", ignored)
	}
}

// The record of one sink is the one of earlier releases, so that it holds for them
// after a downgrade.
func TestTheRecordOfOneSinkIsThatOfEarlierReleases(t *testing.T) {
	record := string(mustMarshal(Applied{Sinks: one(&AppliedSink{Destination: broker("a")}, &AppliedSink{Destination: broker("b")})}))
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(record), &fields); err != nil {
		t.Fatal(err)
	}
	if fields["sink"] == nil || fields["deadLetterSink"] == nil || fields["sinks"] != nil {
		t.Errorf("the record is %s", record)
	}
	for what, sinks := range map[string][]AppliedPair{
		"none":                 nil,
		"one":                  one(&AppliedSink{Destination: broker("a")}, nil),
		"a dead letter sink":   one(nil, &AppliedSink{Destination: broker("b")}),
		"one of another name":  {{"audit", &AppliedSink{Destination: broker("a")}, nil}},
		"several":              {{v1beta1.DefaultSinkName, &AppliedSink{Destination: broker("a")}, nil}, {"audit", &AppliedSink{Destination: broker("b"), Key: "k"}, &AppliedSink{Destination: broker("c")}}},
		"several, one without": {{"audit", &AppliedSink{Destination: broker("a")}, nil}, {"b", nil, &AppliedSink{Destination: broker("c")}}},
	} {
		applied := Applied{Agent: agentSettings(), Sinks: sinks}
		service := &servingv1.Service{}
		service.Annotations = map[string]string{serving.LastAppliedAnnotationKey: string(mustMarshal(applied))}
		read, _ := LastApplied(service)
		if read == nil || cmp.Diff(sinks, read.Sinks) != "" || !Holds(service, true, applied) {
			t.Errorf("%s: read %+v of %s", what, read, service.Annotations)
		}
	}
}

// A sink that is added, removed or renamed is the owner's change, and what happens
// to a sink is not.
func TestOnlyTheOwnerChangesTheSinksOfATemplate(t *testing.T) {
	is := unseen(t, severalSinks, "", nil)
	desired := severalDesired(is)
	applied := Decide(nil, true, desired)
	hash := OwnerHash(predictor(is), nil)
	for what, change := range map[string]func(*Desired){
		"a sink that is down":     func(d *Desired) { d.Sinks[0].Sink.Address = nil },
		"a sink that moves":       func(d *Desired) { d.Sinks[1].Sink.Address = addressOf("elsewhere") },
		"a sink that is refused":  func(d *Desired) { d.Sinks[1].Sink.Address, d.Sinks[1].Sink.Refused = nil, true },
		"dead letters that are":   func(d *Desired) { d.Sinks[0].DeadLetterSink.Address = nil },
		"another agent":           func(d *Desired) { d.Agent.Image = "agent:v9" },
		"an audience of a status": func(d *Desired) { d.Sinks[0].Sink.Address.Audience = nil },
	} {
		changed := severalDesired(is)
		change(&changed)
		if got := Decide(&applied, false, changed); cmp.Diff(applied, got) != "" {
			t.Errorf("%s: %s", what, cmp.Diff(applied, got))
		}
	}
	for what, change := range map[string]func(*v1beta1.LoggerSpec){
		"added": func(l *v1beta1.LoggerSpec) {
			l.Sinks = append(l.Sinks, v1beta1.LoggerSink{Name: "d", URL: apis.HTTP("d")})
		},
		"removed": func(l *v1beta1.LoggerSpec) { l.Sinks = l.Sinks[:2] },
		"renamed": func(l *v1beta1.LoggerSpec) { l.Sinks[2].Name = "d" },
	} {
		changed := is.DeepCopy()
		change(changed.Spec.Predictor.Logger)
		if OwnerHash(predictor(changed), nil) == hash {
			t.Errorf("%s: the hash stays", what)
		}
		var names []string
		for _, pair := range Decide(&applied, true, severalDesired(changed)).Sinks {
			names = append(names, pair.Name)
		}
		var want []string
		for _, sink := range changed.Spec.Predictor.Logger.Sinks {
			want = append(want, sink.Name)
		}
		if !slices.Equal(names, want) {
			t.Errorf("%s: the template has %q, want %q", what, names, want)
		}
	}
}

func TestTheAddressesOfAllSinks(t *testing.T) {
	is := unseen(t, severalSinks, "", nil)
	desired := severalDesired(is)
	applied := Decide(nil, true, desired)
	made, kept := MakeTrust(predictor(is).Subject(), Trust{}, applied, desired)
	// Two sinks have the same dead letter sink, and so one key for it.
	if len(made.Data) != 4 || len(kept) != 0 {
		t.Errorf("data: %v, kept: %v", made.Data, kept)
	}
	for i := range desired.Sinks {
		desired.Sinks[i].Sink.Address = nil
		if letters := desired.Sinks[i].DeadLetterSink; letters != nil {
			letters.Address = nil
		}
	}
	if made, kept = MakeTrust(predictor(is).Subject(), Trust{}, applied, desired); len(made.Data) != 0 || len(kept) != 8 {
		t.Errorf("without addresses, data: %v, kept: %v", made.Data, kept)
	}
}

// Whatever the sinks of an object say that no webhook saw, the agent starts.
func TestAnySinksGiveAnAgentThatStarts(t *testing.T) {
	read := 0
	for seed := range int64(500) {
		is := filled(t, seed)
		logger := is.Spec.Predictor.Logger
		for i := range logger.Sinks {
			if i%3 != 2 {
				logger.Sinks[i].Name = string(rune('a' + i))
			}
		}
		desired := Desired{Agent: agentSettings()}
		for _, sink := range logger.EffectiveSinks() {
			pair := DesiredPair{Name: sink.Name, Sink: DesiredSink{Destination: broker("a"), Address: addressOf("a")}}
			if destination := sink.Destination(); destination != nil && seed%2 == 0 {
				pair.Sink.Destination = *destination
			}
			if letters := sink.DeadLetterSink(); letters != nil {
				pair.DeadLetterSink = &DesiredSink{Destination: *letters}
			}
			desired.Sinks = append(desired.Sinks, pair)
		}
		applied := Decide(nil, true, desired)
		if config := readByTheAgent(t, is, applied); config != nil {
			read += len(config.Sinks)
		}
		MakeTrust(predictor(is).Subject(), Trust{PEM: "x"}, applied, desired)
		if t.Failed() {
			t.Fatalf("with the seed %d", seed)
		}
	}
	if read < 500 {
		t.Errorf("only %d sinks were read", read)
	}
}
