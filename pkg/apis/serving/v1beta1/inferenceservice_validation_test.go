/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	eventingduckv1 "knative.dev/eventing/pkg/apis/duck/v1"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	"knative.dev/pkg/ptr"
	"sigs.k8s.io/yaml"

	. "github.com/sidenote-dev/sidenote/internal/testing/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// refusal is what a user reads: which field it is, and what to do.
type refusal struct {
	paths  []string
	remedy string
}

func refused(remedy string, paths ...string) refusal { return refusal{paths: paths, remedy: remedy} }

// assertRefused fails unless the violations of a level are exactly those
// wanted.
func assertRefused(t *testing.T, got *apis.FieldError, want ...refusal) {
	t.Helper()
	violations := got.WrappedErrors()
	for _, refusal := range want {
		slices.Sort(refusal.paths)
		if !slices.ContainsFunc(violations, func(violation *apis.FieldError) bool {
			return slices.Equal(violation.Paths, refusal.paths) && strings.Contains(violation.Error(), refusal.remedy)
		}) {
			t.Errorf("nothing at %q says %q", refusal.paths, refusal.remedy)
		}
	}
	if len(violations) != len(want) {
		t.Errorf("%d violations, want %d", len(violations), len(want))
	}
	if t.Failed() {
		t.Logf("said:\n%v", got)
	}
}

// asCreated validates as the webhook does what a user creates: with the
// defaults set.
func asCreated(ctx context.Context, is *v1beta1.InferenceService) *apis.FieldError {
	ctx = apis.WithinCreate(ctx)
	is.SetDefaults(ctx)
	return is.Validate(ctx)
}

// fromManifest decodes a predictor as a user writes it.
func fromManifest(t *testing.T, spec string) *v1beta1.InferenceService {
	t.Helper()
	is := InferenceService("my-model")
	is.Spec = v1beta1.InferenceServiceSpec{}
	if err := yaml.Unmarshal([]byte(spec), &is.Spec); err != nil {
		t.Fatal(err)
	}
	return is
}

// with reads further fields of the predictor's logger.
func with(is *v1beta1.InferenceService, logger string) *v1beta1.InferenceService {
	if err := yaml.Unmarshal([]byte(logger), is.Spec.Predictor.Logger); err != nil {
		panic(err)
	}
	return is
}

// listing lists this many annotations.
func listing(count int) *v1beta1.InferenceService {
	is := Seed(WithLogger(WithMetadataAnnotations()))
	for i := range count {
		WithLogger(WithMetadata(fmt.Sprintf("a%d", i), fmt.Sprintf("a%d", i)))(is)
	}
	return is
}

// kib is a value of 1023 bytes, which has 1024 with a name of one.
var kib = strings.Repeat("x", 1023)

func backoff(policy eventingduckv1.BackoffPolicyType) *eventingduckv1.BackoffPolicyType {
	return &policy
}

func format(format eventingduckv1.FormatType) *eventingduckv1.FormatType { return &format }

func TestValidObjectIsAdmitted(t *testing.T) {
	for what, is := range map[string]*v1beta1.InferenceService{
		"the seed's example":                 Seed(),
		"an image alone":                     InferenceService("my-model"),
		"a name of 38 characters":            Seed(WithName(strings.Repeat("a", 38))),
		"a name to be generated":             Seed(WithName("")),
		"a port of HTTP/2":                   Seed(WithPort("h2c", 9000)),
		"a sidecar without a port":           Seed(WithSidecar(corev1.Container{Name: "tokenizer", Image: "tokenizer"})),
		"every mode":                         Seed(WithLogger(WithMode(v1beta1.LogResponse))),
		"live metadata":                      Seed(WithLogger(WithRefresh(v1beta1.RefreshLive))),
		"a content mode":                     Seed(WithLogger(WithContentMode(v1beta1.ContentModeStructured))),
		"every kind of event":                Seed(WithLogger(WithEvents(v1beta1.EventKinds...))),
		"a url":                              Seed(WithLogger(WithURL("http://collector.ops.svc.cluster.local/in?x=1"))),
		"a sink by uri":                      Seed(WithLogger(WithSinkURI("https://collector.example"))),
		"a sink by ref":                      Seed(WithLogger(WithBroker("default"))),
		"a path beside a sink's ref":         fromManifest(t, `predictor: {containers: [{image: a}], logger: {sink: {ref: {apiVersion: eventing.knative.dev/v1, kind: Broker, name: a}, uri: "/in?x=1"}}}`),
		"the namesake in another namespace":  Seed(WithLogger(WithSinkRef("serving.kubeflow.org/v1beta1", "InferenceService", "other", "my-model"))),
		"another InferenceService as sink":   Seed(WithLogger(WithSinkRef("serving.kubeflow.org/v1beta1", "InferenceService", "", "drift"))),
		"an annotation the object lacks":     Seed(WithoutAnnotation("team")),
		"a key with a prefix":                Seed(WithAnnotation("example.com/Cost-Center", "7"), WithLogger(WithMetadataAnnotations("example.com/Cost-Center"))),
		"a long key with an attribute named": Seed(WithLogger(WithMetadata("region", "example.com/the-region-that-the-model-serves"))),
		"any Unicode in a value":             Seed(WithAnnotation("team", `東京 50%, a="b"; $(HOME)`)),
		"a value of 1 KiB":                   Seed(WithAnnotation("team", strings.Repeat("x", metadata.MaxValueBytes))),
		"every source of an attribute": with(Seed(WithLabel("tier", "gold")), `
metadata: [{attribute: tier, label: tier}, {attribute: region, label: no-such-label}, {attribute: tenant, header: X-TENANT}, {attribute: site, value: "東京 50%"}]
metadataHeaders: [x-request-id]
ceOverrides: {extensions: {costcenter: "4711", empty: ""}}`),
		"a trace context by another name": with(Seed(), `metadata: [{attribute: caller, header: traceparent}]`),
		"a pattern whose matches no event can carry": with(Seed(
			WithAnnotation("example.com/a", "x\n"), WithAnnotation("example.com/b", strings.Repeat("x", 2000)), WithAnnotation("example.com/source", "x"),
			WithAnnotation("example.com/te-am", "x"), WithAnnotation("example.com/token", "x")), `
metadataRefresh: Live
metadataAnnotations: [example.com/*, team]`),
		"31 sources and a header":            with(listing(31), `metadataHeaders: [x-tenant]`),
		"fixed values of 4 KiB and a header": with(Seed(WithLogger(WithMetadataAnnotations())), "metadataHeaders: [x-tenant]\nceOverrides: {extensions: {a: "+kib+", b: "+kib+", c: "+kib+", d: "+kib[:1020]+"}}"),
		"equal bounds of the pods":           Seed(WithReplicas(2, 2)),
		"pods without an upper bound":        Seed(WithReplicas(2, 0)),
		"an empty delivery":                  Seed(WithLogger(WithDelivery(eventingduckv1.DeliverySpec{}))),
		"a dead letter sink by uri":          Seed(WithLogger(WithDeadLetterURI("https://letters.example/in"))),
		"a dead letter sink by ref":          Seed(WithLogger(WithDeadLetterBroker("letters"))),
		"every field of a delivery": Seed(WithLogger(WithDelivery(eventingduckv1.DeliverySpec{
			Retry: ptr.Int32(10), BackoffPolicy: backoff("exponential"), BackoffDelay: ptr.String("PT0.2S"),
			Timeout: ptr.String("PT5S"), RetryAfterMax: ptr.String("PT0S"),
		}))),
		"resources of the agent":             fromManifest(t, `predictor: {containers: [{image: a}], logger: {resources: {requests: {cpu: 100m}, limits: {cpu: 800m, memory: 1Gi}}}}`),
		"a body that its own memory holds":   fromManifest(t, `predictor: {containers: [{image: a}], logger: {maxPayloadBytes: 16777216, resources: {limits: {memory: 1Gi}}}}`),
		"KServe's words for what is done":    Seed(WithAnnotation("serving.kserve.io/deploymentMode", "Serverless"), WithAnnotation("serving.kubeflow.org/deploymentMode", "Knative"), WithAnnotation("serving.kserve.io/stop", "false")),
		"the smallest spool":                 Seed(WithLogger(WithSpool("16Mi"))),
		"the largest spool":                  Seed(WithLogger(WithSpool("1Ti"))),
		"a spool in bytes":                   Seed(WithLogger(WithSpool("2e9"))),
		"every field of a spool":             fromManifest(t, `predictor: {containers: [{image: a}], logger: {spool: {sizeLimit: 1Gi, whenFull: DropNewest, sync: true}}}`),
		"a sample of a percentage":           fromManifest(t, `predictor: {containers: [{image: a}], logger: {sampling: {percent: "0.0001", keepFailures: true, keepSlowerThan: 1ms}}}`),
		"a sample of all":                    fromManifest(t, `predictor: {containers: [{image: a}], logger: {sampling: {percent: "100.0000"}}}`),
		"a sample of one in a million":       fromManifest(t, `predictor: {containers: [{image: a}], logger: {sampling: {oneIn: 1000000, keepSlowerThan: 24h}, maxEventsPerSecond: 1000000}}`),
		"a payload of 1 byte":                Seed(WithLogger(WithMaxPayloadBytes(1))),
		"a timeout that lets an agent drain": Seed(WithTimeout(45)),
		"a short timeout without a logger":   Seed(WithoutLogger(), WithTimeout(5)),
	} {
		t.Run(what, func(t *testing.T) { assertRefused(t, asCreated(t.Context(), is)) })
	}
}

func TestInvalidObjectIsRefusedWithFieldAndRemedy(t *testing.T) {
	const containers, logger, annotations = "spec.predictor.containers", "spec.predictor.logger", "metadata.annotations"
	model := corev1.Container{Name: "model", Image: Image, Ports: []corev1.ContainerPort{{ContainerPort: 8080}}}
	sidecar := func(change func(*corev1.Container)) Option {
		container := corev1.Container{Name: "sidecar", Image: "sidecar"}
		change(&container)
		return WithSidecar(container)
	}

	for what, test := range map[string]struct {
		is   *v1beta1.InferenceService
		want refusal
	}{
		// Names.
		"a name of 39 characters": {
			Seed(WithName(strings.Repeat("a", 39))),
			refused("write at most 38", "metadata.name"),
		},
		"a name in upper case":          {Seed(WithName("My-Model")), refused("must consist of lower case", "metadata.name")},
		"a name that begins with digit": {Seed(WithName("1-model")), refused("start with an alphabetic character", "metadata.name")},
		"a name with a dot":             {Seed(WithName("my.model")), refused("must consist of", "metadata.name")},

		// Containers and ports.
		"no container": {
			Seed(WithContainers()),
			refused("write at least one container", containers),
		},
		"two containers with a port each": {
			Seed(sidecar(func(c *corev1.Container) { c.Ports = []corev1.ContainerPort{{ContainerPort: 8081}} })),
			refused("keep the model's and remove the others", containers+"[0].ports[0]", containers+"[1].ports[0]"),
		},
		"a container with two ports": {
			Seed(WithModel(func(c *corev1.Container) {
				c.Ports = []corev1.ContainerPort{{ContainerPort: 8080}, {ContainerPort: 8081}}
			})),
			refused("keep the model's and remove the others", containers+"[0].ports[0]", containers+"[0].ports[1]"),
		},
		"several containers without any port": {
			Seed(WithContainers(corev1.Container{Image: "a"}, corev1.Container{Image: "b"})),
			refused("set it on the container that serves the model", containers+"[*].ports"),
		},
		"a port of the host": {
			Seed(WithModel(func(c *corev1.Container) { c.Ports[0].HostPort = 80 })),
			refused("must not set", containers+"[0].ports[0].hostPort"),
		},
		"the agent's name for the model": {
			Seed(WithModel(func(c *corev1.Container) { c.Name = v1beta1.AgentContainerName })),
			refused("write another one", containers+"[0].name"),
		},
		"our prefix for a sidecar": {
			Seed(sidecar(func(c *corev1.Container) { c.Name = "sidenote-mine" })),
			refused("write another one", containers+"[1].name"),
		},
		"our prefix for an init container": {
			Seed(WithPredictor(func(p *v1beta1.PredictorSpec) {
				p.InitContainers = []corev1.Container{{Name: "fine", Image: "a"}, {Name: "sidenote-init", Image: "a"}}
			})),
			refused("write another one", "spec.predictor.initContainers[1].name"),
		},
		"our prefix for a volume": {
			Seed(WithPredictor(func(p *v1beta1.PredictorSpec) {
				p.Volumes = []corev1.Volume{{Name: "weights"}, {Name: "sidenote-metadata"}}
			})),
			refused("write another one", "spec.predictor.volumes[1].name"),
		},

		// Delivery.
		"a dead letter sink that is the service itself": {
			Seed(WithLogger(WithDelivery(eventingduckv1.DeliverySpec{DeadLetterSink: &duckv1.Destination{Ref: &duckv1.KReference{
				APIVersion: "serving.kubeflow.org/v1beta1", Kind: "InferenceService", Name: "my-model",
			}}}))),
			refused("name another sink", logger+".delivery.deadLetterSink.ref"),
		},
		"a dead letter sink that is the service's child": {
			Seed(WithLogger(WithDelivery(eventingduckv1.DeliverySpec{DeadLetterSink: &duckv1.Destination{Ref: &duckv1.KReference{
				APIVersion: "serving.knative.dev/v1", Kind: "Service", Namespace: Namespace, Name: "my-model-predictor-default",
			}}}))),
			refused("name another sink", logger+".delivery.deadLetterSink.ref"),
		},
		"a dead letter sink that is nothing": {
			Seed(WithLogger(WithDelivery(eventingduckv1.DeliverySpec{DeadLetterSink: &duckv1.Destination{}}))),
			refused("expected at least one", logger+".delivery.deadLetterSink.ref", logger+".delivery.deadLetterSink.uri"),
		},
		"a dead letter sink with credentials": {
			Seed(WithLogger(WithDeadLetterURI("https://me:hunter2@letters.example"))),
			refused("remove them", logger+".delivery.deadLetterSink.uri"),
		},
		"fewer retries than none": {
			Seed(WithLogger(WithDelivery(eventingduckv1.DeliverySpec{Retry: ptr.Int32(-1)}))),
			refused("expected 0 <= -1 <= 1000", logger+".delivery.retry"),
		},
		"an unknown backoff policy": {
			Seed(WithLogger(WithDelivery(eventingduckv1.DeliverySpec{BackoffPolicy: backoff("random")}))),
			refused("exponential", logger+".delivery.backoffPolicy"),
		},
		"a duration as Go writes it": {
			Seed(WithLogger(WithDelivery(eventingduckv1.DeliverySpec{BackoffDelay: ptr.String("200ms")}))),
			refused("write for example PT0.5S", logger+".delivery.backoffDelay"),
		},
		"a duration of a sign alone": {
			Seed(WithLogger(WithDelivery(eventingduckv1.DeliverySpec{BackoffDelay: ptr.String("-")}))),
			refused("write for example PT0.5S", logger+".delivery.backoffDelay"),
		},
		"a duration finer than Knative reads": {
			Seed(WithLogger(WithDelivery(eventingduckv1.DeliverySpec{BackoffDelay: ptr.String("PT0.25S")}))),
			refused("one decimal that Knative reads", logger+".delivery.backoffDelay"),
		},
		"a duration of no fixed length": {
			Seed(WithLogger(WithDelivery(eventingduckv1.DeliverySpec{Timeout: ptr.String("P1M")}))),
			refused("no fixed length", logger+".delivery.timeout"),
		},
		"a timeout of nothing": {
			Seed(WithLogger(WithDelivery(eventingduckv1.DeliverySpec{Timeout: ptr.String("PT0S")}))),
			refused("write one from PT0.1S to PT600S", logger+".delivery.timeout"),
		},
		"a negative duration": {
			Seed(WithLogger(WithDelivery(eventingduckv1.DeliverySpec{RetryAfterMax: ptr.String("-PT1S")}))),
			refused("it is negative", logger+".delivery.retryAfterMax"),
		},
		"a duration longer than an event lives": {
			Seed(WithLogger(WithDelivery(eventingduckv1.DeliverySpec{RetryAfterMax: ptr.String("PT1H")}))),
			refused("write one from PT0S to PT600S", logger+".delivery.retryAfterMax"),
		},
		"retries that would come when the event is given up": {
			Seed(WithLogger(WithDelivery(eventingduckv1.DeliverySpec{Retry: ptr.Int32(10), BackoffDelay: ptr.String("PT1S")}))),
			refused("write a retry of at most 9", logger+".delivery.retry", logger+".delivery.backoffDelay"),
		},
		"a format": {
			Seed(WithLogger(WithDelivery(eventingduckv1.DeliverySpec{Format: format("json")}))),
			refused("contentMode selects the encoding", logger+".delivery.format"),
		},

		// Scale.
		"more pods at least than at most": {
			Seed(WithReplicas(3, 2)),
			refused("minReplicas 3 is more than maxReplicas 2", "spec.predictor.minReplicas", "spec.predictor.maxReplicas"),
		},
		"fewer pods than none": {
			Seed(WithReplicas(-1, 2)),
			refused("write 0 or more", "spec.predictor.minReplicas"),
		},
		"minReplicas beside Knative's annotation": {
			Seed(WithReplicas(1, 2), WithAnnotation("autoscaling.knative.dev/min-scale", "1")),
			refused("remove one of them", "spec.predictor.minReplicas", annotations+"[autoscaling.knative.dev/min-scale]"),
		},
		"minReplicas beside Knative's annotation as it was once written": {
			Seed(WithReplicas(1, 2), WithAnnotation("autoscaling.knative.dev/minScale", "1")),
			refused("remove one of them", "spec.predictor.minReplicas", annotations+"[autoscaling.knative.dev/minScale]"),
		},
		"maxReplicas beside Knative's annotation": {
			Seed(WithReplicas(1, 2), WithAnnotation("autoscaling.knative.dev/max-scale", "2")),
			refused("remove one of them", "spec.predictor.maxReplicas", annotations+"[autoscaling.knative.dev/max-scale]"),
		},
		"a target of the autoscaler below 1": {
			fromManifest(t, `predictor: {containers: [{image: a}], scaleTarget: 0}`),
			refused("write 1 or more", "spec.predictor.scaleTarget"),
		},
		"scaleTarget beside Knative's annotation": {
			Seed(WithScale(5, ""), WithAnnotation("autoscaling.knative.dev/target", "5")),
			refused("remove one of them", "spec.predictor.scaleTarget", annotations+"[autoscaling.knative.dev/target]"),
		},
		"a metric of the autoscaler that is none": {
			fromManifest(t, `predictor: {containers: [{image: a}], scaleMetric: qps}`),
			refused(`write one of "concurrency", "rps", "cpu", "memory"`, "spec.predictor.scaleMetric"),
		},
		"scaleMetric beside Knative's annotation": {
			Seed(WithScale(5, "rps"), WithAnnotation("autoscaling.knative.dev/metric", "rps")),
			refused("remove one of them", "spec.predictor.scaleMetric", annotations+"[autoscaling.knative.dev/metric]"),
		},
		"less than none of the traffic": {
			fromManifest(t, `predictor: {containers: [{image: a}], canaryTrafficPercent: -1}`),
			refused("write from 0 to 100", "spec.predictor.canaryTrafficPercent"),
		},
		"more than all of the traffic": {
			fromManifest(t, `predictor: {containers: [{image: a}], canaryTrafficPercent: 101}`),
			refused("write from 0 to 100", "spec.predictor.canaryTrafficPercent"),
		},

		// The logger's words.
		"a mode that is none": {
			Seed(WithLogger(WithMode("both"))),
			refused(`write one of "all", "request", "response"`, logger+".mode"),
		},
		"a refresh that is none": {
			Seed(WithLogger(WithRefresh("live"))),
			refused(`write one of "Revision", "Live"`, logger+".metadataRefresh"),
		},
		"a content mode that is none": {
			Seed(WithLogger(WithContentMode("batch"))),
			refused(`write one of "auto", "binary", "structured"`, logger+".contentMode"),
		},
		"a kind of event that is none": {
			Seed(WithLogger(WithEvents("request", "answer"))),
			refused(`write one of "request", "response", "stream"`, logger+".events[1]"),
		},
		"a path that is none": {
			Seed(WithLogger(WithPaths("/v1/models/*", "v1/models/m"))),
			refused("must begin with / or *", logger+".paths[1]"),
		},
		"a path with a query": {
			Seed(WithLogger(WithPaths("!/a?b=c"))),
			refused("leave out the query", logger+".paths[0]"),
		},
		"more paths than an agent takes": {
			Seed(WithLogger(WithPaths(slices.Repeat([]string{"/a"}, 33)...))),
			refused("write fewer, with * for any characters", logger+".paths"),
		},
		"a payload of nothing": {
			Seed(WithLogger(WithMaxPayloadBytes(0))),
			refused("expected 1 <= 0 <= 16777216", logger+".maxPayloadBytes"),
		},
		"a payload over what any Broker takes": {
			Seed(WithLogger(WithMaxPayloadBytes(16<<20 + 1))),
			refused("expected 1 <= 16777217 <= 16777216", logger+".maxPayloadBytes"),
		},

		// Sampling.
		"a sample without a size": {
			fromManifest(t, `predictor: {containers: [{image: a}], logger: {sampling: {keepFailures: true}}}`),
			refused("without one of them every exchange is sent: add it, or remove sampling", logger+".sampling.oneIn", logger+".sampling.percent"),
		},
		"a sample of two sizes": {
			fromManifest(t, `predictor: {containers: [{image: a}], logger: {sampling: {percent: "1", oneIn: 100}}}`),
			refused("remove one of them", logger+".sampling.oneIn", logger+".sampling.percent"),
		},
		"a sample of nothing": {
			fromManifest(t, `predictor: {containers: [{image: a}], logger: {sampling: {percent: "0"}}}`),
			refused("must be a decimal number above 0 and up to 100", logger+".sampling.percent"),
		},
		"a sample of more than all": {
			fromManifest(t, `predictor: {containers: [{image: a}], logger: {sampling: {percent: "100.1"}}}`),
			refused("must be a decimal number above 0 and up to 100", logger+".sampling.percent"),
		},
		"a percentage with its sign": {
			fromManifest(t, `predictor: {containers: [{image: a}], logger: {sampling: {percent: "1%"}}}`),
			refused("such as 0.5", logger+".sampling.percent"),
		},
		"a percentage with an exponent": {
			fromManifest(t, `predictor: {containers: [{image: a}], logger: {sampling: {percent: "1e1"}}}`),
			refused("must be a decimal number", logger+".sampling.percent"),
		},
		"a percentage of too many digits": {
			fromManifest(t, `predictor: {containers: [{image: a}], logger: {sampling: {percent: "0.00001"}}}`),
			refused("at most four digits after the point", logger+".sampling.percent"),
		},
		"one in none": {
			fromManifest(t, `predictor: {containers: [{image: a}], logger: {sampling: {oneIn: 0}}}`),
			refused("expected 1 <= 0 <= 1000000", logger+".sampling.oneIn"),
		},
		"one in too many": {
			fromManifest(t, `predictor: {containers: [{image: a}], logger: {sampling: {oneIn: 1000001}}}`),
			refused("expected 1 <= 1000001 <= 1000000", logger+".sampling.oneIn"),
		},
		"all that take any time": {
			fromManifest(t, `predictor: {containers: [{image: a}], logger: {sampling: {oneIn: 2, keepSlowerThan: 0s}}}`),
			refused("write a duration from 1ms to 24h, such as 2s", logger+".sampling.keepSlowerThan"),
		},
		"those that take days": {
			fromManifest(t, `predictor: {containers: [{image: a}], logger: {sampling: {oneIn: 2, keepSlowerThan: 25h}}}`),
			refused("write a duration from 1ms to 24h", logger+".sampling.keepSlowerThan"),
		},
		"no events in a second": {
			fromManifest(t, `predictor: {containers: [{image: a}], logger: {maxEventsPerSecond: 0}}`),
			refused("expected 1 <= 0 <= 1000000", logger+".maxEventsPerSecond"),
		},
		"more events than a number": {
			fromManifest(t, `predictor: {containers: [{image: a}], logger: {maxEventsPerSecond: 1000001}}`),
			refused("expected 1 <= 1000001 <= 1000000", logger+".maxEventsPerSecond"),
		},

		// The sink.
		"a sink and a url": {
			Seed(WithLogger(WithBroker("default"), WithURL("http://a.example"))),
			refused("remove one of them", logger+".sink", logger+".url"),
		},
		"an empty sink": {
			fromManifest(t, `predictor: {containers: [{image: a}], logger: {sink: {}}}`),
			refused("expected at least one, got none", logger+".sink.ref", logger+".sink.uri"),
		},
		"a deployment without Knative": {
			Seed(WithAnnotation("serving.kserve.io/deploymentMode", "RawDeployment")),
			refused("every model runs on Knative Serving", "metadata.annotations[serving.kserve.io/deploymentMode]"),
		},
		"a deployment on ModelMesh": {
			Seed(WithAnnotation("serving.kserve.io/deploymentMode", "ModelMesh")),
			refused("every model runs on Knative Serving", "metadata.annotations[serving.kserve.io/deploymentMode]"),
		},
		"KServe's other name for it": {
			Seed(WithAnnotation("serving.kserve.io/deploymentMode", "Standard")),
			refused(`not supported: "Standard"`, "metadata.annotations[serving.kserve.io/deploymentMode]"),
		},
		"KFServing's raw deployment": {
			Seed(WithAnnotation("serving.kubeflow.org/raw", "true")),
			refused("every model runs on Knative Serving", "metadata.annotations[serving.kubeflow.org/raw]"),
		},
		"an autoscaler that is not Knative's": {
			Seed(WithAnnotation("serving.kserve.io/autoscalerClass", "hpa")),
			refused("by autoscaling.knative.dev/class", "metadata.annotations[serving.kserve.io/autoscalerClass]"),
		},
		"a service that is to stop": {
			Seed(WithAnnotation("serving.kserve.io/stop", "true")),
			refused("delete the InferenceService", "metadata.annotations[serving.kserve.io/stop]"),
		},
		"a URL that is too long": {
			Seed(WithLogger(WithURL("http://h/" + strings.Repeat("x", v1beta1.MaxURLBytes)))),
			refused("write at most 4096", logger+".url"),
		},
		"a URL with characters that are none of a URL's": {
			Seed(WithLogger(WithURL("http://h/?q=\U000f0000"))),
			refused("percent-encode them", logger+".url"),
		},
		"a query with a space": {
			fromManifest(t, `predictor: {containers: [{image: a}], logger: {url: "http://h/?q=a b"}}`),
			refused("percent-encode them, as %20", logger+".url"),
		},
		"a query with a letter that is not ASCII": {
			fromManifest(t, `predictor: {containers: [{image: a}], logger: {delivery: {deadLetterSink: {uri: "http://h/?q=\u00e9"}}}}`),
			refused("percent-encode them, as %20", logger+".delivery.deadLetterSink.uri"),
		},
		"resources that are not the agent's": {
			fromManifest(t, `predictor: {containers: [{image: a}], logger: {resources: {limits: {nvidia.com/gpu: 1}}}}`),
			refused("write cpu, memory or ephemeral-storage", logger+".resources.limits.nvidia.com/gpu"),
		},
		"resources whose name is wrong": {
			fromManifest(t, `predictor: {containers: [{image: a}], logger: {resources: {limit: {cpu: 1}}}}`),
			refused("limits", logger+".resources.limit"),
		},
		"a body that the agent's own memory doesn't hold": {
			fromManifest(t, `predictor: {containers: [{image: a}], logger: {maxPayloadBytes: 4000000, resources: {limits: {memory: 32Mi}}}}`),
			refused("or a higher memory limit in spec.predictor.logger.resources.limits.memory", logger+".maxPayloadBytes"),
		},
		"a spool without a size": {
			fromManifest(t, `predictor: {containers: [{image: a}], logger: {spool: {}}}`),
			refused("write from 16Mi to 1Ti", logger+".spool.sizeLimit"),
		},
		"a spool that is too small": {
			Seed(WithLogger(WithSpool("16M"))),
			refused("write from 16Mi to 1Ti", logger+".spool.sizeLimit"),
		},
		"a spool without its unit": {
			fromManifest(t, `predictor: {containers: [{image: a}], logger: {spool: {sizeLimit: 16}}}`),
			refused("write from 16Mi to 1Ti", logger+".spool.sizeLimit"),
		},
		"a spool that no disk has": {
			Seed(WithLogger(WithSpool("2Ti"))),
			refused("write from 16Mi to 1Ti", logger+".spool.sizeLimit"),
		},
		"a full spool that drops nothing": {
			fromManifest(t, `predictor: {containers: [{image: a}], logger: {spool: {sizeLimit: 1Gi, whenFull: Block}}}`),
			refused(`"DropOldest", "DropNewest"`, logger+".spool.whenFull"),
		},
		"a spool's field in the wrong case": {
			fromManifest(t, `predictor: {containers: [{image: a}], logger: {spool: {sizelimit: 1Gi, sizeLimit: 1Gi}}}`),
			refused("write sizeLimit", logger+".spool.sizelimit"),
		},
		"a url without a scheme": {
			Seed(WithLogger(WithURL("collector.ops.svc.cluster.local/in"))),
			refused("write an absolute URL with http or https", logger+".url"),
		},
		"a url of another scheme": {
			Seed(WithLogger(WithURL("kafka://broker:9092/topic"))),
			refused("write an absolute URL with http or https", logger+".url"),
		},
		"a url without a host": {
			Seed(WithLogger(WithURL("http:///in"))),
			refused("write an absolute URL with http or https", logger+".url"),
		},
		"a url with credentials": {
			Seed(WithLogger(WithURL("https://me:hunter2@collector.example"))),
			refused("remove them", logger+".url"),
		},
		"a sink's uri with credentials": {
			Seed(WithLogger(WithSinkURI("https://me:hunter2@collector.example"))),
			refused("remove them", logger+".sink.uri"),
		},
		"a sink's uri of another scheme": {
			Seed(WithLogger(WithSinkURI("ftp://collector.example"))),
			refused("write an absolute URL with http or https", logger+".sink.uri"),
		},
		"a query beside a sink's ref that has no JSON form": {
			fromManifest(t, `predictor: {containers: [{image: a}], logger: {sink: {ref: {apiVersion: eventing.knative.dev/v1, kind: Broker, name: a}, uri: "?q=\U000F0000"}}}`),
			refused("percent-encode them", logger+".sink.uri"),
		},
		"a fragment beside a sink's ref": {
			fromManifest(t, `predictor: {containers: [{image: a}], logger: {sink: {ref: {apiVersion: eventing.knative.dev/v1, kind: Broker, name: a}, uri: "/a#b"}}}`),
			refused("a fragment is never sent: remove it", logger+".sink.uri"),
		},
		"credentials beside a dead letter sink's ref": {
			fromManifest(t, `predictor: {containers: [{image: a}], logger: {delivery: {deadLetterSink: {ref: {apiVersion: eventing.knative.dev/v1, kind: Broker, name: a}, uri: "//me:hunter2@h/a"}}}}`),
			refused("remove them", logger+".delivery.deadLetterSink.uri"),
		},
		"a sink that is the InferenceService": {
			Seed(WithLogger(WithSinkRef("serving.kubeflow.org/v1beta1", "InferenceService", "", "my-model"))),
			refused("name another sink", logger+".sink.ref"),
		},
		"a sink that is its Knative Service": {
			Seed(WithLogger(WithSinkRef("serving.knative.dev/v1", "Service", Namespace, "my-model-predictor-default"))),
			refused("name another sink", logger+".sink.ref"),
		},

		// Annotations as attributes.
		"an annotation that gives no name": {
			Seed(WithLogger(WithMetadataAnnotations("team", "example.com/部署"))),
			refused("name the attribute in spec.predictor.logger.metadata: {attribute: NAME, annotation: example.com/部署}", logger+".metadataAnnotations[1]"),
		},
		"an annotation that gives a name with a digit first": {
			Seed(WithLogger(WithMetadataAnnotations("1st"))),
			refused("name the attribute in spec.predictor.logger.metadata", logger+".metadataAnnotations[0]"),
		},
		"an annotation that gives a name over 20 characters": {
			Seed(WithLogger(WithMetadataAnnotations("the-team-that-owns-the-model"))),
			refused("name the attribute in spec.predictor.logger.metadata", logger+".metadataAnnotations[0]"),
		},
		"an annotation that gives an attribute of CloudEvents": {
			Seed(WithLogger(WithMetadataAnnotations("example.com/source"))),
			refused("name the attribute in spec.predictor.logger.metadata", logger+".metadataAnnotations[0]"),
		},
		"a named attribute that is reserved": {
			Seed(WithLogger(WithMetadata("knativefoo", "team"))),
			refused("reserved attribute name", logger+".metadata[0]"),
		},
		"a named attribute in upper case": {
			Seed(WithLogger(WithMetadata("Region", "region"))),
			refused("write 1 to 20 characters a-z and 0-9, beginning with a letter", logger+".metadata[0]"),
		},
		"an empty key": {
			Seed(WithLogger(WithMetadataAnnotations("team", ""))),
			refused("write the key of an annotation, or remove the entry", logger+".metadataAnnotations[1]"),
		},
		"two keys for one attribute": {
			Seed(WithLogger(WithMetadataAnnotations("team", "example.com/Team"))),
			refused("remove one, or name its attribute in spec.predictor.logger.metadata", logger+".metadataAnnotations[0]", logger+".metadataAnnotations[1]"),
		},
		"a key and a named attribute that are one": {
			Seed(WithLogger(WithMetadata("owner", "example.com/contact"))),
			refused("remove one, or name its attribute", logger+".metadataAnnotations[1]", logger+".metadata[0]"),
		},
		"what kubectl keeps": {
			Seed(WithLogger(WithMetadata("applied", "kubectl.kubernetes.io/last-applied-configuration"))),
			refused(`config-logger denies "kubectl.kubernetes.io/*": list another annotation`, logger+".metadata[0]"),
		},
		"what may be a secret": {
			Seed(WithLogger(WithMetadataAnnotations("example.com/API-Token"))),
			refused(`config-logger denies "*token*": list another annotation`, logger+".metadataAnnotations[0]"),
		},
		"a value of two lines": {
			Seed(WithAnnotation("team", "ai\nplatform")),
			refused("change the value, or don't list the annotation", annotations+"[team]", logger+".metadataAnnotations[0]"),
		},
		"a value over 1 KiB": {
			Seed(WithAnnotation("owner", strings.Repeat("x", 1025))),
			refused("at most 1024 can go into an attribute", annotations+"[owner]", logger+".metadataAnnotations[1]"),
		},
		"values over 4 KiB in all": {
			Seed(WithAnnotation("a", strings.Repeat("x", 1024)), WithAnnotation("b", strings.Repeat("x", 1024)),
				WithAnnotation("c", strings.Repeat("x", 1024)), WithAnnotation("d", strings.Repeat("x", 1024)),
				WithLogger(WithMetadataAnnotations("a", "b", "c", "d"))),
			refused("shorten the values, or list fewer annotations", annotations),
		},
		"an entry without a source": {
			with(Seed(), `metadata: [{attribute: a}]`),
			refused("write the source of the attribute's value", logger+".metadata[0].annotation", logger+".metadata[0].label", logger+".metadata[0].header", logger+".metadata[0].value"),
		},
		"an entry with two sources": {
			with(Seed(), `metadata: [{attribute: a, annotation: a, value: a}]`),
			refused("an attribute has one source: remove the others", logger+".metadata[0].annotation", logger+".metadata[0].value"),
		},
		"a header without a name": {
			with(Seed(), `metadataHeaders: [""]`),
			refused("write the name of a header, or remove the entry", logger+".metadataHeaders[0]"),
		},
		"a header that HTTP doesn't have": {
			with(Seed(), `metadataHeaders: ["x tenant"]`),
			refused("write letters, digits and hyphens, such as X-Tenant", logger+".metadataHeaders[0]"),
		},
		"a header with credentials": {
			with(Seed(), `metadata: [{attribute: caller, header: proxy-AUTHORIZATION}]`),
			refused("denies \"*authorization*\": list another header", logger+".metadata[0]"),
		},
		"a header that gives a reserved name": {
			with(Seed(), `metadataHeaders: [traceparent]`),
			refused("name the attribute in spec.predictor.logger.metadata: {attribute: NAME, header: traceparent}", logger+".metadataHeaders[0]"),
		},
		"a header that the cluster denies": {
			with(Seed(), `metadataHeaders: [X-Api-Key]`),
			refused("denies \"*api-key*\": list another header", logger+".metadataHeaders[0]"),
		},
		"a label that the cluster denies": {
			with(Seed(), `metadata: [{attribute: a, label: example.com/password}]`),
			refused("denies \"*password*\": list another label", logger+".metadata[0]"),
		},
		"a label's invalid value": {
			with(Seed(WithLabel("a", "a\nb")), `metadata: [{attribute: a, label: a}]`),
			refused("change the value, or don't list the label", "metadata.labels[a]", logger+".metadata[0]"),
		},
		"an invalid fixed value": {
			with(Seed(), `metadata: [{attribute: a, value: "a\tb"}]`),
			refused("change the value", logger+".metadata[0]"),
		},
		"an extension with an invalid value": {
			with(Seed(), `ceOverrides: {extensions: {a: "a\tb"}}`),
			refused("change the value", logger+".ceOverrides.extensions[a]"),
		},
		"an extension of CloudEvents": {
			with(Seed(), `ceOverrides: {extensions: {subject: a}}`),
			refused("give the attribute another name", logger+".ceOverrides.extensions[subject]"),
		},
		"an extension with the name of a header's attribute": {
			with(Seed(), "metadataHeaders: [x-tenant]\nceOverrides: {extensions: {xtenant: a}}"),
			refused(`header "x-tenant" and the fixed value of attribute "xtenant" both give the attribute "xtenant": `, logger+".metadataHeaders[0]", logger+".ceOverrides.extensions[xtenant]"),
		},
		"a pattern under Revision": {
			with(Seed(), `metadataAnnotations: [example.com/*]`),
			refused("write metadataRefresh: Live, or list each key", logger+".metadataAnnotations[0]"),
		},
		"a pattern of another form": {
			with(Seed(WithLogger(WithRefresh(v1beta1.RefreshLive))), `metadataAnnotations: [example.com/team*]`),
			refused("write prefix/*, or list each key", logger+".metadataAnnotations[0]"),
		},
		"a pattern that the cluster denies": {
			with(Seed(WithLogger(WithRefresh(v1beta1.RefreshLive))), `metadataAnnotations: [kubectl.kubernetes.io/*]`),
			refused("list another annotation", logger+".metadataAnnotations[0]"),
		},
		"a pattern for one attribute": {
			with(Seed(WithLogger(WithRefresh(v1beta1.RefreshLive))), `metadata: [{attribute: a, annotation: example.com/*}]`),
			refused("metadataAnnotations takes patterns of annotations", logger+".metadata[0].annotation"),
		},
		"32 annotations and a header": {
			with(listing(32), `metadataHeaders: [x-tenant]`),
			refused("33 attributes listed", logger+".metadataAnnotations", logger+".metadata", logger+".metadataHeaders"),
		},
		"fixed values over 4 KiB": {
			with(Seed(WithLogger(WithMetadataAnnotations())), "ceOverrides: {extensions: {a: "+kib+", b: "+kib+", c: "+kib+", d: "+kib+", e: x}}"),
			refused("at most 4096 can go into an event", annotations, logger+".ceOverrides.extensions"),
		},
		"33 annotations": {
			listing(33),
			refused("list fewer", logger+".metadataAnnotations", logger+".metadata"),
		},

		// Fields that this version lacks.
		"a transformer without containers": {
			fromManifest(t, `{predictor: {containers: [{image: a}]}, transformer: {minReplicas: 1}}`),
			refused("write at least one container", "spec.transformer.containers"),
		},
		"a transformer's field that nobody knows": {
			fromManifest(t, `{predictor: {containers: [{image: a}]}, transformer: {containers: [{image: b}], image: c}}`),
			refused("write it under spec.transformer.containers[0]", "spec.transformer.image"),
		},
		"a transformer's port": {
			fromManifest(t, `{predictor: {containers: [{image: a}]}, transformer: {containers: [{image: b, ports: [{containerPort: 9081}]}]}}`),
			refused("taken by Sidenote's agent", "spec.transformer.containers[0].ports[0].containerPort"),
		},
		"an explainer's mode": {
			fromManifest(t, `{predictor: {containers: [{image: a}]}, explainer: {containers: [{image: b}], logger: {mode: both}}}`),
			refused(`write one of "all"`, "spec.explainer.logger.mode"),
		},
		"an explainer's format": {
			fromManifest(t, `{predictor: {containers: [{image: a}]}, explainer: {containers: [{image: b}], art: {}}}`),
			refused("use KServe with a LoggerBinding", "spec.explainer.art"),
		},
		"an explainer's canary": {
			fromManifest(t, `{predictor: {containers: [{image: a}]}, explainer: {containers: [{image: b}], canaryTrafficPercent: 110}}`),
			refused("write from 0 to 100", "spec.explainer.canaryTrafficPercent"),
		},
		"the predictor's events to the transformer": {
			Seed(WithTransformer("transformer:v1"), WithLogger(WithSinkRef("serving.knative.dev/v1", "Service", "", "my-model-transformer-default"))),
			refused("name another sink", logger+".sink.ref"),
		},
		"the transformer's denied annotation": {
			Seed(WithAnnotation("token", "x"), WithTransformer("transformer:v1", WithMetadataAnnotations("token"))),
			refused("list another annotation", "spec.transformer.logger.metadataAnnotations[0]"),
		},
		"a logger in the wrong place": {
			fromManifest(t, `{predictor: {containers: [{image: a}]}, logger: {mode: all}}`),
			refused("write it under spec.predictor", "spec.logger"),
		},
		"a typing error in spec": {
			fromManifest(t, `{predictor: {containers: [{image: a}]}, Predictor: {}}`),
			refused("write predictor", "spec.Predictor"),
		},
		"a batcher": {
			fromManifest(t, `predictor: {containers: [{image: a}], batcher: {}}`),
			refused("not supported yet: remove it", "spec.predictor.batcher"),
		},
		"storageUri": {
			fromManifest(t, `predictor: {containers: [{image: a}], storageUri: "gs://models/iris"}`),
			refused("put the model into the container's image or a volume, or use KServe with a LoggerBinding", "spec.predictor.storageUri"),
		},
		"a field of a container in the predictor": {
			fromManifest(t, `predictor: {containers: [{image: a}], image: a}`),
			refused("write it under spec.predictor.containers[0]", "spec.predictor.image"),
		},
		"a predictor's field in the wrong case": {
			fromManifest(t, `predictor: {containers: [{image: a}], minreplicas: 1}`),
			refused("write minReplicas", "spec.predictor.minreplicas"),
		},
		"a field that nobody knows": {
			fromManifest(t, `predictor: {containers: [{image: a}], warp: 9}`),
			refused("remove it or correct its name", "spec.predictor.warp"),
		},
		"a logger's field in the wrong case": {
			fromManifest(t, `predictor: {containers: [{image: a}], logger: {metadataannotations: [team]}}`),
			refused("write metadataAnnotations", logger+".metadataannotations"),
		},
		"a sink's field in the wrong case": {
			fromManifest(t, `predictor: {containers: [{image: a}], logger: {sink: {uri: "http://a", caCerts: x}}}`),
			refused("write CACerts", logger+".sink.caCerts"),
		},
		"a typing error in a sink's ref": {
			fromManifest(t, `predictor: {containers: [{image: a}], logger: {sink: {ref: {apiVersion: v1, kind: Service, name: a, nmae: b}}}}`),
			refused("remove it or correct its name, known fields are kind, namespace, name", logger+".sink.ref.nmae"),
		},
		"a delivery's field that nobody knows": {
			fromManifest(t, `predictor: {containers: [{image: a}], logger: {delivery: {retries: 3}}}`),
			refused("known fields are deadLetterSink, retry", logger+".delivery.retries"),
		},
		"a dead letter sink's field that nobody knows": {
			fromManifest(t, `predictor: {containers: [{image: a}], logger: {delivery: {deadLetterSink: {uri: "http://a", url: "http://b"}}}}`),
			refused("known fields are ref, uri", logger+".delivery.deadLetterSink.url"),
		},
		"a field of metadata that nobody knows": {
			fromManifest(t, `predictor: {containers: [{image: a}], logger: {metadata: [{attribute: a, annotation: a}, {attribute: b, annotation: b, default: c}]}}`),
			refused("known fields are attribute, annotation", logger+".metadata[1].default"),
		},
		"a logger's field of a later version": {
			fromManifest(t, `predictor: {containers: [{image: a}], logger: {storage: {path: a}}}`),
			refused("not supported yet: remove it", logger+".storage"),
		},
	} {
		t.Run(what, func(t *testing.T) {
			assertRefused(t, asCreated(t.Context(), test.is).Filter(apis.ErrorLevel), test.want)
		})
	}

	for port, owner := range map[int32]string{
		9081: "Sidenote's agent", 9082: "Sidenote's agent",
		8008: "Knative's", 8012: "Knative's", 8013: "Knative's", 8022: "Knative's", 8112: "Knative's",
		9090: "Knative's", 9091: "Knative's",
	} {
		t.Run(fmt.Sprintf("port %d of a model", port), func(t *testing.T) {
			assertRefused(t, asCreated(t.Context(), Seed(WithPort("", port))),
				refused("taken by "+owner, containers+"[0].ports[0].containerPort"))
		})
		t.Run(fmt.Sprintf("port %d of a second container", port), func(t *testing.T) {
			last := model
			last.Ports = []corev1.ContainerPort{{ContainerPort: port}}
			assertRefused(t, asCreated(t.Context(), Seed(WithContainers(corev1.Container{Name: "first", Image: "a"}, last))),
				refused("let the container listen on another one", containers+"[1].ports[0].containerPort"))
		})
	}
}

// Servers of KFServing are given as fields of the predictor, and then there
// is no container either.
func TestModelFormatsAreRefusedWithAdvice(t *testing.T) {
	for _, format := range []string{"model", "sklearn", "xgboost", "tensorflow", "pytorch", "triton", "onnx", "huggingface", "pmml", "lightgbm", "paddle", "mlserver", "mlflow"} {
		t.Run(format, func(t *testing.T) {
			is := fromManifest(t, fmt.Sprintf(`predictor: {%s: {storageUri: "gs://models/iris"}}`, format))
			assertRefused(t, asCreated(t.Context(), is),
				refused("use KServe with a LoggerBinding (https://github.com/sidenote-dev/sidenote/blob/main/docs/kserve.md), or give the model server as containers, with its image and port", "spec.predictor."+format),
				refused("write at least one container", "spec.predictor.containers"))
		})
	}
}

func TestNoMessageRepeatsAValueThatMayBeSecret(t *testing.T) {
	const canary = "hunter2"
	for what, is := range map[string]*v1beta1.InferenceService{
		"credentials in a url":         Seed(WithLogger(WithURL("https://me:" + canary + "@collector.example"))),
		"credentials in a bad url":     Seed(WithLogger(WithURL("ftp://me:" + canary + "@collector.example"))),
		"credentials in a sink's uri":  Seed(WithLogger(WithSinkURI("https://me:" + canary + "@collector.example"))),
		"a value with a line's end":    Seed(WithAnnotation("team", canary+"\n")),
		"a denied annotation":          Seed(WithAnnotation("token", canary), WithLogger(WithMetadataAnnotations("token"))),
		"a value that is far too long": Seed(WithAnnotation("team", strings.Repeat(canary, 1000))),
	} {
		errs := asCreated(t.Context(), is)
		if errs == nil {
			t.Errorf("%s is admitted", what)
		} else if strings.Contains(errs.Error(), canary) {
			t.Errorf("%s is repeated: %v", what, errs)
		}
	}
}

// An empty deny list permits no credentials.
func TestHeadersWithCredentialsAreRefusedInEveryCluster(t *testing.T) {
	ctx := config.ToContext(t.Context(), &config.Config{Agent: &config.Agent{}, Logger: &config.Logger{}})
	for _, header := range []string{"Authorization", "proxy-authorization", "COOKIE", "Set-Cookie"} {
		assertRefused(t, asCreated(ctx, with(Seed(), "metadata: [{attribute: a, header: "+header+"}]")).Filter(apis.ErrorLevel),
			refused("name another header", "spec.predictor.logger.metadata[0]"))
	}
}

func TestTheClusterDecidesWhichAnnotationsAreDenied(t *testing.T) {
	with := func(denied ...string) context.Context {
		return config.ToContext(t.Context(), &config.Config{Agent: &config.Agent{}, Logger: &config.Logger{DeniedAnnotations: denied}})
	}
	listsToken := func() *v1beta1.InferenceService {
		return Seed(WithLogger(WithMetadataAnnotations("team", "example.com/token")))
	}
	assertRefused(t, asCreated(with(), listsToken()))
	assertRefused(t, asCreated(with("internal/*", "te?m", "TEAM"), listsToken()),
		refused(`denies "TEAM": list another annotation`, "spec.predictor.logger.metadataAnnotations[0]"))
}

func TestMaxPayloadBytesMustFitIntoTheBuffer(t *testing.T) {
	ctx := config.ToContext(t.Context(), &config.Config{Agent: &config.Agent{BufferBytes: 1000}, Logger: &config.Logger{}})
	assertRefused(t, asCreated(ctx, Seed(WithLogger(WithMaxPayloadBytes(500)))))
	assertRefused(t, asCreated(ctx, Seed(WithLogger(WithMaxPayloadBytes(501)))),
		refused("buffer-bytes is 1000: write at most half of that, or a higher memory limit in spec.predictor.logger.resources.limits.memory", "spec.predictor.logger.maxPayloadBytes"))
}

// TestMoreConcurrencyThanTheAgentHasIsRefused, and no bound at all is warned of,
// where it was asked for.
func TestMoreConcurrencyThanTheAgentHasIsRefused(t *testing.T) {
	ctx := config.ToContext(t.Context(), &config.Config{Agent: &config.Agent{BufferBytes: 32 << 20, MaxExchanges: 100}, Logger: &config.Logger{}})
	with := func(concurrency int64, options ...Option) *v1beta1.InferenceService {
		return Seed(append(options, WithPredictor(func(p *v1beta1.PredictorSpec) { p.ContainerConcurrency = &concurrency }))...)
	}
	const field = "spec.predictor.containerConcurrency"
	assertRefused(t, asCreated(ctx, Seed()))
	assertRefused(t, asCreated(ctx, with(100)))
	assertRefused(t, asCreated(ctx, with(101)), refused("write at most 100, or a higher memory limit in spec.predictor.logger.resources.limits.memory", field))
	assertRefused(t, asCreated(ctx, with(101, WithPredictor(func(p *v1beta1.PredictorSpec) { p.Logger = nil }))))
	unbounded := asCreated(ctx, with(0))
	assertRefused(t, unbounded.Filter(apis.ErrorLevel))
	assertRefused(t, unbounded.Filter(apis.WarningLevel), refused("write at most 100, so that further ones wait", field))
}

// A service may set the memory of its own agent, from which its bound follows.
func TestConcurrencyIsHeldAgainstTheServicesOwnAgent(t *testing.T) {
	const field = "spec.predictor.containerConcurrency"
	with := func(concurrency, memory string) *v1beta1.InferenceService {
		return fromManifest(t, `predictor: {containerConcurrency: `+concurrency+`, containers: [{image: a}], logger: {resources: {limits: {memory: `+memory+`}}}}`)
	}
	const remedy = "or a higher memory limit in spec.predictor.logger.resources.limits.memory"
	assertRefused(t, asCreated(t.Context(), with("1000", "1Gi")))
	assertRefused(t, asCreated(t.Context(), with("5000", "1Gi")), refused("room for 4096 requests at once and responds to further ones with 503: write at most 4096, "+remedy, field))
	assertRefused(t, asCreated(t.Context(), with("500", "100Mi")), refused("room for 400 requests at once and responds to further ones with 503: write at most 400, "+remedy, field))
	assertRefused(t, asCreated(t.Context(), with("0", "1Gi")).Filter(apis.WarningLevel), refused("write at most 4096, so that further ones wait", field))
	// Of resources that are refused themselves nothing more is said.
	assertRefused(t, asCreated(t.Context(), with("500", "1Mi")), refused("write at least 32Mi", "spec.predictor.logger.resources.limits.memory"))

	// What a change of the agent's memory makes wrong is the request's.
	ctx := apis.WithinUpdate(t.Context(), with("1000", "1Gi"))
	updated := with("1000", "128Mi")
	updated.SetDefaults(ctx)
	assertRefused(t, updated.Validate(ctx).Filter(apis.ErrorLevel), refused("write at most 512", field))
}

func TestAShortTimeoutWithALoggerIsWarnedOf(t *testing.T) {
	errs := asCreated(t.Context(), Seed(WithTimeout(44)))
	assertRefused(t, errs.Filter(apis.ErrorLevel))
	assertRefused(t, errs.Filter(apis.WarningLevel), refused("write at least 45", "spec.predictor.timeout"))
}

func TestUpdateIsRefusedOnlyForNewViolations(t *testing.T) {
	withUnknown := func(fields ...string) Option {
		return WithPredictor(func(predictor *v1beta1.PredictorSpec) { predictor.Unknown = fields })
	}
	withPorts := func(ports ...int32) Option {
		return WithModel(func(model *corev1.Container) {
			model.Ports = nil
			for _, port := range ports {
				model.Ports = append(model.Ports, corev1.ContainerPort{ContainerPort: port})
			}
		})
	}
	both := WithLogger(WithBroker("default"), WithURL("http://a.example"))

	for what, test := range map[string]struct {
		old, updated *v1beta1.InferenceService
		errors       int
		warnings     int
	}{
		"nothing was wrong and nothing is":             {Seed(), Seed(WithImage("v2")), 0, 0},
		"what is wrong is new":                         {Seed(), Seed(WithLogger(WithMode("both"))), 1, 0},
		"what is wrong was so before":                  {Seed(both), Seed(both, WithImage("v2")), 0, 1},
		"what was wrong is mended":                     {Seed(both), Seed(), 0, 0},
		"one wrong was there and one is new":           {Seed(both), Seed(both, WithPort("", 9090)), 1, 1},
		"what was wrong is wrong otherwise":            {Seed(WithLogger(WithMode("both"))), Seed(WithLogger(WithMode("none"))), 1, 0},
		"an unknown field was there before":            {Seed(withUnknown("sklearn")), Seed(withUnknown("sklearn"), WithImage("v2")), 0, 1},
		"an unknown field comes":                       {Seed(), Seed(withUnknown("sklearn")), 1, 0},
		"one of two unknown fields goes":               {Seed(withUnknown("sklearn", "xgboost")), Seed(withUnknown("sklearn")), 0, 1},
		"one of three ports goes":                      {Seed(withPorts(1, 2, 3)), Seed(withPorts(1, 2)), 0, 1},
		"a third port comes":                           {Seed(withPorts(1, 2)), Seed(withPorts(1, 2, 3)), 1, 1},
		"an object from before the webhook is updated": {InferenceService("my-model"), InferenceService("my-model", WithPort("", 8080)), 0, 0},
		"an old object would have got a port by default": {
			InferenceService("my-model"),
			InferenceService("my-model", WithSidecar(corev1.Container{Name: "sidecar", Image: "sidecar"})), 1, 0,
		},
		"a name that was too long stays":                {Seed(WithName(strings.Repeat("a", 50))), Seed(WithName(strings.Repeat("a", 50)), WithImage("v2")), 0, 1},
		"a listed annotation's value becomes a problem": {Seed(), Seed(WithAnnotation("team", "a\nb")), 1, 0},
		"a short timeout stays a warning":               {Seed(), Seed(WithTimeout(5)), 0, 1},
	} {
		t.Run(what, func(t *testing.T) {
			ctx := apis.WithinUpdate(t.Context(), test.old)
			before := test.old.DeepCopy()
			test.updated.SetDefaults(ctx)
			errs := test.updated.Validate(ctx)
			if got := len(errs.Filter(apis.ErrorLevel).WrappedErrors()); got != test.errors {
				t.Errorf("%d errors, want %d", got, test.errors)
			}
			if got := len(errs.Filter(apis.WarningLevel).WrappedErrors()); got != test.warnings {
				t.Errorf("%d warnings, want %d", got, test.warnings)
			}
			if before.Spec.Predictor.Containers[0].Name != test.old.Spec.Predictor.Containers[0].Name {
				t.Error("the old object was changed")
			}
			if t.Failed() {
				t.Logf("said:\n%v", errs)
			}
		})
	}
}

// An unknown field beside one that was there before is the request's.
func TestAnUpdateNamesOnlyTheNewOfLikeViolations(t *testing.T) {
	old := fromManifest(t, `predictor: {containers: [{image: a}], sklearn: {}}`)
	updated := fromManifest(t, `predictor: {containers: [{image: a}], sklearn: {}, xgboost: {}}`)
	ctx := apis.WithinUpdate(t.Context(), old)
	updated.SetDefaults(ctx)
	errs := updated.Validate(ctx)
	assertRefused(t, errs.Filter(apis.ErrorLevel), refused("give the model server as containers", "spec.predictor.xgboost"))
	assertRefused(t, errs.Filter(apis.WarningLevel), refused("give the model server as containers", "spec.predictor.sklearn"))
}

func TestServingValidatesOnlySupportedFields(t *testing.T) {
	asked := 0
	ctx := v1beta1.WithChildValidation(t.Context(), func(context.Context, *v1beta1.InferenceService) *apis.FieldError {
		asked++
		return apis.ErrGeneric("Serving says no", "spec.predictor.nodeSelector")
	})
	assertRefused(t, asCreated(ctx, Seed()), refused("Serving says no", "spec.predictor.nodeSelector"))
	if asked != 1 {
		t.Errorf("asked %d times, want once", asked)
	}
	asked = 0
	assertRefused(t, asCreated(ctx, Seed(WithContainers())), refused("write at least one", "spec.predictor.containers"))
	if asked != 0 {
		t.Error("Serving was asked about what is refused already")
	}
	assertRefused(t, asCreated(ctx, Seed(WithTimeout(10))).Filter(apis.ErrorLevel), refused("Serving says no", "spec.predictor.nodeSelector"))

	// A flag that was turned off since doesn't keep an owner from updating.
	ctx = apis.WithinUpdate(ctx, Seed())
	assertRefused(t, Seed(WithImage("v2")).Validate(ctx).Filter(apis.ErrorLevel))
}

// Of an object that has a violation of ours Serving is not asked. Who mends that
// must not be refused for what Serving has said of the object all along.
func TestFixedViolationRevealsNoOther(t *testing.T) {
	ctx := v1beta1.WithChildValidation(t.Context(), func(context.Context, *v1beta1.InferenceService) *apis.FieldError {
		return apis.ErrGeneric("Serving says no", "spec.predictor.nodeSelector")
	})
	old := Seed(WithAnnotation("serving.kserve.io/deploymentMode", "RawDeployment"))
	updated := Seed()
	ctx = apis.WithinUpdate(ctx, old)
	updated.SetDefaults(ctx)
	errs := updated.Validate(ctx)
	assertRefused(t, errs.Filter(apis.ErrorLevel))
	assertRefused(t, errs.Filter(apis.WarningLevel), refused("Serving says no", "spec.predictor.nodeSelector"))
}

func TestDeletionAndStatusUpdatesAreNeverRefused(t *testing.T) {
	broken := func(options ...Option) *v1beta1.InferenceService {
		return Seed(append(options, WithContainers(), WithName("-"), WithLogger(WithMode("both")))...)
	}
	if asCreated(t.Context(), broken()) == nil {
		t.Fatal("the broken one is admitted anyway")
	}
	assertRefused(t, broken(WithDeletion()).Validate(apis.WithinUpdate(t.Context(), Seed())))
	assertRefused(t, broken().Validate(apis.WithinSubResourceUpdate(t.Context(), Seed(), "status")))
}

// The reconciler mounts no token for it either.
func TestForeignAudienceMustBeAllowed(t *testing.T) {
	const logger = "spec.predictor.logger"
	with := func(destination duckv1.Destination) *v1beta1.InferenceService {
		return Seed(WithLogger(func(l *v1beta1.LoggerSpec) {
			l.Sink = destination.DeepCopy()
			l.Delivery = &eventingduckv1.DeliverySpec{DeadLetterSink: destination.DeepCopy()}
		}))
	}
	toBroker := func(audience string) duckv1.Destination {
		return duckv1.Destination{Ref: &duckv1.KReference{APIVersion: "eventing.knative.dev/v1", Kind: "Broker", Name: "a"}, Audience: &audience}
	}
	toURI := duckv1.Destination{URI: apis.HTTPS("collector.example"), Audience: ptr.String("collector")}
	for what, destination := range map[string]duckv1.Destination{"a Broker": toBroker("sts.amazonaws.com"), "a URI": toURI} {
		t.Run(what, func(t *testing.T) {
			assertRefused(t, asCreated(t.Context(), with(destination)).Filter(apis.ErrorLevel),
				refused("allowed-audiences", logger+".delivery.deadLetterSink.audience", logger+".sink.audience"))
			settings := config.FromContextOrDefaults(t.Context())
			settings.Logger.AllowedAudiences = []string{*destination.Audience}
			assertRefused(t, asCreated(config.ToContext(t.Context(), settings), with(destination)).Filter(apis.ErrorLevel))
		})
	}
	assertRefused(t, asCreated(t.Context(), with(toBroker("eventing.knative.dev/broker/"+Namespace+"/a"))).Filter(apis.ErrorLevel))
}

// To look one up would list all of the cluster.
func TestASinkOfAKindWithoutAnAddressIsRefused(t *testing.T) {
	const logger = "spec.predictor.logger"
	destination := duckv1.Destination{Ref: &duckv1.KReference{APIVersion: "v1", Kind: "ConfigMap", Namespace: "kube-system", Name: "coredns"}}
	assertRefused(t, asCreated(t.Context(), Seed(WithLogger(func(l *v1beta1.LoggerSpec) {
		l.Sink = destination.DeepCopy()
		l.Delivery = &eventingduckv1.DeliverySpec{DeadLetterSink: destination.DeepCopy()}
	}))).Filter(apis.ErrorLevel),
		refused("has no address: name a Broker", logger+".delivery.deadLetterSink.ref.kind", logger+".sink.ref.kind"))
}
