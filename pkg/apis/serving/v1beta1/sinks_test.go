/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1_test

import (
	"fmt"
	"strings"
	"testing"

	"knative.dev/pkg/apis"

	. "github.com/sidenote-dev/sidenote/internal/testing/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// withLogger is an InferenceService with a logger as a user writes it.
func withLogger(t *testing.T, logger string) *v1beta1.InferenceService {
	t.Helper()
	return fromManifest(t, `predictor: {containers: [{image: a}], logger: `+logger+`}`)
}

func TestEachSinkIsValidated(t *testing.T) {
	const at = "spec.predictor.logger."
	for what, test := range map[string]struct {
		logger string
		want   []refusal
	}{
		"several":                 {`{sinks: [{name: a, url: "http://a"}, {name: b, sink: {ref: {apiVersion: v1, kind: Service, name: b}, uri: /x}}]}`, nil},
		"no name":                 {`{sinks: [{url: "http://a"}]}`, []refusal{refused("write a name", at+"sinks[0].name")}},
		"an odd name":             {`{sinks: [{name: A_b, url: "http://a"}]}`, []refusal{refused("lower case", at+"sinks[0].name")}},
		"a name twice":            {`{sinks: [{name: a, url: "http://a"}, {name: a, url: "http://b"}]}`, []refusal{refused("rename one", at+"sinks[0].name", at+"sinks[1].name")}},
		"no destination":          {`{sinks: [{name: a}]}`, []refusal{refused("write sink:", at+"sinks[0].sink", at+"sinks[0].url")}},
		"two destinations":        {`{sinks: [{name: a, url: "http://a", sink: {uri: "http://a"}}]}`, []refusal{refused("remove one", at+"sinks[0].sink", at+"sinks[0].url")}},
		"beside a sink":           {`{url: "http://a", sinks: [{name: a, url: "http://a"}]}`, []refusal{refused("write all sinks", at+"sink", at+"sinks", at+"url")}},
		"an odd URL":              {`{sinks: [{name: a, url: "ftp://a"}]}`, []refusal{refused("absolute URL", at+"sinks[0].url")}},
		"an odd kind":             {`{sinks: [{name: a, sink: {ref: {apiVersion: v1, kind: Secret, name: b}}}]}`, []refusal{refused("no address", at+"sinks[0].sink.ref.kind")}},
		"an odd mode":             {`{sinks: [{name: a, url: "http://a", mode: x}]}`, []refusal{refused("write one of", at+"sinks[0].mode")}},
		"an odd kind of event":    {`{sinks: [{name: a, url: "http://a", events: [request, x]}]}`, []refusal{refused("write one of", at+"sinks[0].events[1]")}},
		"an odd profile":          {`{sinks: [{name: a, url: "http://a", profile: x}]}`, []refusal{refused("write one of", at+"sinks[0].profile")}},
		"an odd retry":            {`{sinks: [{name: a, url: "http://a", delivery: {retry: -1}}]}`, []refusal{refused("expected", at+"sinks[0].delivery.retry")}},
		"an odd spool":            {`{sinks: [{name: a, url: "http://a", spool: {sizeLimit: 1}}]}`, []refusal{refused("1Gi", at+"sinks[0].spool.sizeLimit")}},
		"an unknown field":        {`{sinks: [{name: a, url: "http://a", delivery: {retrys: 1}}]}`, []refusal{refused("known fields", at+"sinks[0].delivery.retrys")}},
		"the service itself":      {`{sinks: [{name: a, sink: {ref: {apiVersion: serving.kubeflow.org/v1beta1, kind: InferenceService, name: my-model}}}]}`, []refusal{refused("name another sink", at+"sinks[0].sink.ref")}},
		"its own dead letters":    {`{sinks: [{name: a, url: "http://a", delivery: {deadLetterSink: {ref: {apiVersion: serving.kubeflow.org/v1beta1, kind: InferenceService, name: my-model}}}}]}`, []refusal{refused("name another sink", at+"sinks[0].delivery.deadLetterSink.ref")}},
		"credentials":             {`{sinks: [{name: a, url: "https://a", auth: {basic: {name: s}}}, {name: b, url: "https://b", auth: {bearer: {name: s, key: k}}}]}`, nil},
		"no kind of credentials":  {`{sinks: [{name: a, url: "https://a", auth: {}}]}`, []refusal{refused("write bearer", at+"sinks[0].auth.basic", at+"sinks[0].auth.bearer")}},
		"two kinds":               {`{url: "https://a", auth: {basic: {name: s}, bearer: {name: s, key: k}}}`, []refusal{refused("remove one", at+"auth.basic", at+"auth.bearer")}},
		"no key":                  {`{url: "https://a", auth: {bearer: {name: s}}}`, []refusal{refused("write the key", at+"auth.bearer.key")}},
		"an odd Secret":           {`{url: "https://a", auth: {basic: {name: S_}}}`, []refusal{refused("lower case", at+"auth.basic.name")}},
		"credentials over http":   {`{auth: {basic: {name: s}}, sinks: [{name: a, url: "http://a"}]}`, []refusal{refused("over https only", at+"auth")}},
		"credentials to a Broker": {`{auth: {basic: {name: s}}}`, []refusal{refused("token of the pod's service account", at+"auth")}},
		"only to some":            {`{auth: {basic: {name: s}}, sinks: [{name: a, url: "https://a"}, {name: b, sink: {ref: {apiVersion: v1, kind: Service, name: b}}}]}`, nil},
		"spools that are too large": {`{spool: {sizeLimit: 600Gi}, sinks: [{name: a, url: "http://a"}, {name: b, url: "http://b"}]}`,
			[]refusal{refused("at most 1Ti", at+"spool.sizeLimit")}},
		"too large a body for the share": {`{maxPayloadBytes: 16000000, resources: {limits: {memory: 256Mi}}, sinks: [{name: a, url: "http://a"}, {name: b, url: "http://b"}, {name: c, url: "http://c"}, {name: d, url: "http://d"}, {name: e, url: "http://e"}, {name: f, url: "http://f"}]}`,
			[]refusal{refused("write fewer sinks", at+"sinks")}},
	} {
		t.Run(what, func(t *testing.T) { assertRefused(t, asCreated(t.Context(), withLogger(t, test.logger)), test.want...) })
	}
	var many []string
	for i := range v1beta1.MaxSinks + 1 {
		many = append(many, fmt.Sprintf("{name: s%d, url: \"http://a\"}", i))
	}
	assertRefused(t, asCreated(t.Context(), withLogger(t, `{sinks: [`+strings.Join(many, ",")+`]}`)), refused("write fewer", at+"sinks"))
}

func TestASinkGetsDefaultsAsTheOneSinkDoes(t *testing.T) {
	is := withLogger(t, `{sinks: [{name: a, sink: {ref: {apiVersion: v1, kind: Service, name: b}}, spool: {sizeLimit: 1Gi}, delivery: {deadLetterSink: {ref: {apiVersion: v1, kind: Service, name: c}}}}]}`)
	is.SetDefaults(t.Context())
	sink := is.Spec.Predictor.Logger.Sinks[0]
	if sink.Sink.Ref.Namespace != Namespace || sink.Delivery.DeadLetterSink.Ref.Namespace != Namespace || sink.Spool.WhenFull != v1beta1.DropOldest {
		t.Errorf("with defaults: %+v", sink)
	}
	if sink.Mode != "" {
		t.Errorf("the sink has the mode %q, but would follow its logger", sink.Mode)
	}
}

func TestTheFieldThatHoldsForASink(t *testing.T) {
	logger := withLogger(t, `{mode: request, delivery: {retry: 1}, sinks: [{name: a, url: "http://a", delivery: {timeout: PT1S}}, {name: b, url: "http://b", mode: response}]}`).Spec.Predictor.Logger
	sinks := logger.EffectiveSinks()
	for _, test := range []struct{ got, want string }{
		{sinks[0].Field("delivery.retry"), "sinks[0].delivery.retry"},
		{sinks[1].Field("delivery.retry"), "delivery.retry"},
		{sinks[0].Field("mode"), "mode"},
		{sinks[1].Field("mode"), "sinks[1].mode"},
		{sinks[1].Field("url"), "sinks[1].url"},
		{string(sinks[0].Mode + sinks[1].Mode), "requestresponse"},
	} {
		if test.got != test.want {
			t.Errorf("%q, want %q", test.got, test.want)
		}
	}
	if sinks[0].Delivery.Retry != nil || *sinks[1].Delivery.Retry != 1 {
		t.Error("a field of a sink replaces that of its logger as a whole")
	}
	short := withLogger(t, `{url: "http://a", delivery: {retry: 1}}`).Spec.Predictor.Logger.EffectiveSinks()
	if len(short) != 1 || short[0].Name != "default" || short[0].Field("delivery.retry") != "delivery.retry" || short[0].Path() != "" {
		t.Errorf("the short form is %+v", short)
	}
}

func TestWhereEventsMayGoIsHeldAgainstWhatIsNew(t *testing.T) {
	const foreign = `{sinks: [{name: a, sink: {ref: {apiVersion: v1, kind: Service, name: b, namespace: other}}}, {name: b, url: "https://example.org", delivery: {deadLetterSink: {uri: "https://example.net"}}}]}`
	settings := config.FromContextOrDefaults(t.Context())
	settings.Logger.CrossNamespaceSinks = config.CrossNamespaceDenied
	settings.Logger.AllowedURIHosts = []string{"*.example.com"}
	ctx := apis.AllowDifferentNamespace(config.ToContext(t.Context(), settings))
	is := withLogger(t, foreign)
	assertRefused(t, asCreated(ctx, is),
		refused("name a sink of the namespace models", "spec.predictor.logger.sinks[0].sink.ref"),
		refused("allowed-uri-hosts", "spec.predictor.logger.sinks[1].url"),
		refused("allowed-uri-hosts", "spec.predictor.logger.sinks[1].delivery.deadLetterSink.uri"))

	changed := is.DeepCopy()
	WithImage("model:v2")(changed)
	if errs := changed.Validate(apis.WithinUpdate(ctx, is)); errs.Filter(apis.ErrorLevel) != nil {
		t.Errorf("what was there is refused: %v", errs)
	}
	changed.Spec.Predictor.Logger.Sinks[0].Sink.Ref.Namespace = "third"
	assertRefused(t, changed.Validate(apis.WithinUpdate(ctx, is)).Filter(apis.ErrorLevel), refused("Service third/b", "spec.predictor.logger.sinks[0].sink.ref"))
}
