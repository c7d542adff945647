/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"strings"
	"testing"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	. "github.com/sidenote-dev/sidenote/internal/testing/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// sourced has a logger with these fields, and nothing listed by default.
func sourced(t testing.TB, logger string, options ...Option) *v1beta1.InferenceService {
	t.Helper()
	is := InferenceService("my-model", append([]Option{WithLogger()}, options...)...)
	is.Spec.Predictor.Logger = &v1beta1.LoggerSpec{}
	if err := yaml.UnmarshalStrict([]byte(logger), is.Spec.Predictor.Logger); err != nil {
		t.Fatal(err)
	}
	is.SetDefaults(t.Context())
	return is
}

func selectionOf(is *v1beta1.InferenceService, denylist ...string) Selection {
	return SelectMetadata(is.MetadataObject(), is.Spec.Predictor.Logger, denylist)
}

func TestWhatOfTheSourcesBecomesMetadata(t *testing.T) {
	is := sourced(t, `
metadataRefresh: Live
metadataAnnotations: [team, region, api-token, example.com/*]
metadata:
- {attribute: tier, label: tier}
- {attribute: zone, label: zone}
- {attribute: tenant, header: x-TENANT}
- {attribute: site, value: berlin}
metadataHeaders: [x-token]
ceOverrides: {extensions: {costcenter: ""}}`,
		WithAnnotation("team", "a"), WithAnnotation("api-token", "secret"), WithLabel("tier", "gold"),
		WithAnnotation("example.com/stage", "prod"), WithAnnotation("example.com/tenant", "b"))
	got := selectionOf(is, "*token*")
	want := Selection{
		Listed: []metadata.Attribute{{Name: "apitoken", Value: "secret"}, {Name: "costcenter"}, {Name: "site", Value: "berlin"}, {Name: "team", Value: "a"}, {Name: "tier", Value: "gold"}},
		Attributes: []metadata.Attribute{
			{Name: "costcenter"}, {Name: "site", Value: "berlin"}, {Name: "stage", Value: "prod"}, {Name: "team", Value: "a"}, {Name: "tier", Value: "gold"},
		},
		Headers: []agentconfig.HeaderSource{{Attribute: "tenant", Header: "X-Tenant"}},
		Missing: []string{"region"}, MissingLabels: []string{"zone"},
		Denied:  []string{"api-token", "header x-token"},
		LeftOut: []string{`example.com/tenant: the attribute "tenant" is of header x-TENANT`},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("(-want, +got):", diff)
	}
}

// No webhook saw these, and an agent must start nevertheless.
func TestSourcesThatNoWebhookSawAreRefused(t *testing.T) {
	headers := make([]string, 40)
	for i := range headers {
		headers[i] = fmt.Sprintf("a%d", i)
	}
	for logger, want := range map[string]struct {
		refused    int
		headers    int
		attributes int
	}{
		`{metadataAnnotations: ["", team]}`:                                                                           {refused: 1, attributes: 1},
		`{metadata: [{attribute: a}, {attribute: b, value: x, label: l}]}`:                                            {refused: 2},
		`{metadataAnnotations: [example.com/*]}`:                                                                      {refused: 1},
		`{metadataRefresh: Live, metadataAnnotations: ["*"]}`:                                                         {refused: 1},
		`{metadataHeaders: ["x y", authorization, x-a, X-A]}`:                                                         {refused: 3, headers: 1},
		`{metadata: [{attribute: id, header: x-id}, {attribute: team, header: x-team}], metadataAnnotations: [team]}`: {refused: 2, attributes: 1},
		`{metadataHeaders: [` + strings.Join(headers, ",") + `], ceOverrides: {extensions: {z: ""}}}`:                 {refused: 9, headers: 31, attributes: 1},
		`{ceOverrides: {extensions: {Z: a, id: a, a: "b\n", ok: a}}}`:                                                 {refused: 3, attributes: 1},
	} {
		got := selectionOf(sourced(t, logger, WithAnnotation("team", "a"), WithAnnotation("example.com/a", "x")))
		if len(got.Refused) != want.refused || len(got.Headers) != want.headers || len(got.Attributes) != want.attributes {
			t.Errorf("%s: %+v, want %+v", logger, got, want)
		}
	}
}

// A pod's labels are read by selectors and by tools, so that a listed label stays
// there unless its change must make no Revision.
func TestWhatOfTheListedIsOnTheTemplate(t *testing.T) {
	const logger = `{metadataAnnotations: [team], metadata: [{attribute: tier, label: tier}]`
	options := []Option{
		WithAnnotation("team", "a"), WithAnnotation("example.com/a", "b"), WithAnnotation("other", "c"),
		WithLabel("tier", "gold"), WithLabel("app", "x"),
	}
	for _, test := range []struct {
		logger              string
		annotations, labels []string
	}{
		{logger + `}`, []string{"example.com/a", "other"}, []string{"tier", "app"}},
		{logger + `, metadataRefresh: Live}`, []string{"example.com/a", "other"}, []string{"app"}},
		{`{metadataAnnotations: [team, example.com/*], metadataRefresh: Live}`, []string{"other"}, []string{"tier", "app"}},
	} {
		is := sourced(t, test.logger, options...)
		template := MakeService(predictor(is), "", platform(is)).Spec.Template
		for kind, each := range map[string]struct {
			has  map[string]string
			all  []string
			want []string
		}{
			"annotation": {template.Annotations, []string{"team", "example.com/a", "other"}, test.annotations},
			"label":      {template.Labels, []string{"tier", "app"}, test.labels},
		} {
			var got []string
			for _, key := range each.all {
				if _, found := each.has[key]; found {
					got = append(got, key)
				}
			}
			if diff := cmp.Diff(each.want, got); diff != "" {
				t.Errorf("%s: %ss (-want, +got): %s", test.logger, kind, diff)
			}
		}
	}
}

func TestWhatOfTheSourcesMakesARevision(t *testing.T) {
	for what, test := range map[string]struct {
		logger string
		change Option
		want   bool
	}{
		"a label's value":            {`{metadata: [{attribute: tier, label: tier}]}`, WithLabel("tier", "silver"), true},
		"a label's value under Live": {`{metadata: [{attribute: tier, label: tier}], metadataRefresh: Live}`, WithLabel("tier", "silver"), false},
		"a new match":                {`{metadataAnnotations: [example.com/*], metadataRefresh: Live}`, WithAnnotation("example.com/b", "x"), false},
		"another value of a match":   {`{metadataAnnotations: [example.com/*], metadataRefresh: Live}`, WithAnnotation("example.com/a", "x"), false},
		"a new annotation under a pattern that isn't in force": {`{metadataAnnotations: [example.com/*]}`, WithAnnotation("example.com/b", "x"), false},
		"a header":       {`{}`, withLoggerField(`metadataHeaders: [x-tenant]`), true},
		"another header": {`{metadata: [{attribute: a, header: x-a}]}`, withLoggerField(`metadata: [{attribute: a, header: x-b}]`), true},
		"a fixed value":  {`{metadata: [{attribute: a, value: a}], metadataRefresh: Live}`, withLoggerField(`metadata: [{attribute: a, value: b}]`), true},
		"an extension":   {`{ceOverrides: {extensions: {a: a}}}`, withLoggerField(`ceOverrides: {extensions: {a: b}}`), true},
	} {
		is := sourced(t, test.logger, WithLabel("tier", "gold"), WithAnnotation("example.com/a", "a"))
		before := OwnerHash(predictor(is), selectionOf(is).Listed)
		test.change(is)
		if got := OwnerHash(predictor(is), selectionOf(is).Listed) != before; got != test.want {
			t.Errorf("%s makes a Revision: %t, want %t", what, got, test.want)
		}
	}
}

func withLoggerField(field string) Option {
	return func(is *v1beta1.InferenceService) {
		if err := yaml.Unmarshal([]byte(field), is.Spec.Predictor.Logger); err != nil {
			panic(err)
		}
	}
}

// The record of a service without the new fields is the one that earlier releases
// wrote.
func TestARecordWithoutHeadersIsAsBefore(t *testing.T) {
	record := string(mustMarshal(Applied{Metadata: []metadata.Attribute{{Name: "team", Value: "a"}}}))
	if strings.Contains(record, "eaders") {
		t.Errorf("the record is %s", record)
	}
	var back Applied
	if err := json.Unmarshal([]byte(`{"agent":{},"headers":[{"Attribute":"tenant","Header":"X-Tenant"}]}`), &back); err != nil || len(back.Headers) != 1 {
		t.Errorf("a record with headers reads as %+v: %v", back, err)
	}
}

func TestHeadersBecomeArguments(t *testing.T) {
	is := sourced(t, `{metadata: [{attribute: tenant, header: x-tenant}, {attribute: site, value: "$(HOME) 東京"}], metadataHeaders: [x-b]}`)
	applied := platform(is)
	selected := selectionOf(is)
	applied.Metadata, applied.Headers = selected.Attributes, selected.Headers
	read := readByTheAgent(t, is, applied)
	want := []agentconfig.HeaderSource{{Attribute: "tenant", Header: "X-Tenant"}, {Attribute: "xb", Header: "X-B"}}
	if diff := cmp.Diff(want, read.MetadataHeaders); diff != "" {
		t.Error("headers (-want, +read):", diff)
	}
	if diff := cmp.Diff([]metadata.Attribute{{Name: "site", Value: "$(HOME) 東京"}}, read.Metadata); diff != "" {
		t.Error("attributes (-want, +read):", diff)
	}
}

// values are texts of any Unicode, and of what is special somewhere on the way.
func values(random *rand.Rand) string {
	special := []string{"", " ", "  a ", "a=b", "$(HOME)", "$$", `"`, `\`, ",", "%0A", "\n", "\t", "\x00", "\x7f", "\u0085", "\ufeff", "\ufffe", "\U0001ffff", "\ufdd0", "\u202e", "e\u0301", "\xff", "東京", "🚀", strings.Repeat("x", 1024), strings.Repeat("é", 512)}
	var value strings.Builder
	for range random.Intn(4) {
		if random.Intn(2) == 0 {
			value.WriteString(special[random.Intn(len(special))])
			continue
		}
		for range random.Intn(8) {
			value.WriteRune(rune(random.Intn(0x110000)))
		}
	}
	return value.String()
}

// Whatever the values are: what admission accepts is a valid CloudEvent, and the
// arguments and the file of a running agent carry it unchanged.
func TestWhatAdmissionAcceptsIsAValidEvent(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	accepted := 0
	for range 3000 {
		annotation, label, fixed, extension, match := values(random), values(random), values(random), values(random), values(random)
		is := sourced(t, `
metadataRefresh: Live
metadataAnnotations: [team, example.com/*]
metadata: [{attribute: tier, label: tier}, {attribute: tenant, header: x-tenant}]`,
			WithAnnotation("team", annotation), WithLabel("tier", label), WithAnnotation("example.com/match", match))
		logger := is.Spec.Predictor.Logger
		logger.Metadata = append(logger.Metadata, v1beta1.MetadataSource{Attribute: "site", Value: fixed + "."})
		withLoggerField(`ceOverrides: {extensions: {extension: ""}}`)(is)
		logger.CEOverrides.Extensions["extension"] = extension
		if logger.ValidateAt(t.Context(), "spec.predictor.logger", is.MetadataObject()) != nil {
			continue
		}
		accepted++
		selected := selectionOf(is)
		if len(selected.Refused) > 0 || len(selected.Missing) > 0 || len(selected.Denied) > 0 {
			t.Fatalf("admission accepts what is left out: %+v", selected)
		}
		want := map[string]string{"team": annotation, "tier": label, "site": fixed + ".", "extension": extension}
		if len(selected.LeftOut) == 0 {
			want["match"] = match
		}
		assertAttributes(t, want, selected.Attributes)

		applied := platform(is)
		applied.Agent = *config.FromContextOrDefaults(t.Context()).Agent
		applied.Metadata, applied.Headers = selected.Attributes, selected.Headers
		assertAttributes(t, want, readByTheAgent(t, is, applied).Metadata)

		file := MakeMetadata(predictor(is).Subject(), selected.Attributes).Data[metadata.FileName]
		read, err := metadata.ParseFile([]byte(file))
		if err != nil {
			t.Fatalf("an agent refuses the file %q: %v", file, err)
		}
		assertAttributes(t, want, read)
		assertValidEvent(t, selected.Attributes)
	}
	if accepted < 300 {
		t.Errorf("only %d of the cases were accepted: the test shows little", accepted)
	}
}

func assertAttributes(t *testing.T, want map[string]string, attributes []metadata.Attribute) {
	t.Helper()
	got := make(map[string]string)
	for _, attribute := range attributes {
		got[attribute.Name] = attribute.Value
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal("attributes (-want, +got):", diff)
	}
}

// assertValidEvent has the SDK of CloudEvents validate an event with the
// attributes, and write and read it.
func assertValidEvent(t *testing.T, attributes []metadata.Attribute) {
	t.Helper()
	event := cloudevents.NewEvent()
	event.SetID("1")
	event.SetSource("my-model")
	event.SetType("test")
	for _, attribute := range attributes {
		event.SetExtension(attribute.Name, attribute.Value)
	}
	if err := event.Validate(); err != nil {
		t.Fatalf("the event is invalid: %v", err)
	}
	encoded, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	var back cloudevents.Event
	if err := json.Unmarshal(encoded, &back); err != nil {
		t.Fatal(err)
	}
	for _, attribute := range attributes {
		if got := back.Extensions()[attribute.Name]; got != attribute.Value {
			t.Fatalf("%s is %q, want %q", attribute.Name, got, attribute.Value)
		}
	}
}
