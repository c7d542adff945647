/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/utils/ptr"
	"knative.dev/pkg/injection/clients/dynamicclient"
	"knative.dev/reconciler-test/pkg/environment"
	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/test/rekt/resources/inferenceservice"
)

// fields is a part of an object as it stands in YAML.
type fields = map[string]any

// refusals are objects that a user may well write, each with what the API
// server's response has to say: where the mistake is and what to write instead.
var refusals = map[string]struct {
	// metadata and predictor replace what the seed's example has.
	metadata, predictor, spec fields
	says                      []string
}{
	"no container": {
		predictor: fields{"containers": []any{}},
		says:      []string{"spec.predictor.containers", "write at least one container"},
	},
	"two ports": {
		predictor: fields{"containers": []any{fields{"image": "a", "ports": []any{fields{"containerPort": 8080}, fields{"containerPort": 8081}}}}},
		says:      []string{"spec.predictor.containers[0].ports[1]", "exactly one port"},
	},
	"two containers, each with a port": {
		predictor: fields{"containers": []any{
			fields{"name": "a", "image": "a", "ports": []any{fields{"containerPort": 8080}}},
			fields{"name": "b", "image": "b", "ports": []any{fields{"containerPort": 8081}}},
		}},
		says: []string{"spec.predictor.containers[1].ports[0]", "exactly one port"},
	},
	"two containers without a port": {
		predictor: fields{"containers": []any{fields{"name": "a", "image": "a"}, fields{"name": "b", "image": "b"}}},
		says:      []string{"spec.predictor.containers[*].ports", "exactly one must have a port"},
	},
	"the agent's port": {
		predictor: fields{"containers": []any{fields{"image": "a", "ports": []any{fields{"containerPort": 9081}}}}},
		says:      []string{"spec.predictor.containers[0].ports[0].containerPort", "another one"},
	},
	"queue-proxy's port": {
		predictor: fields{"containers": []any{fields{"image": "a", "ports": []any{fields{"containerPort": 8012}}}}},
		says:      []string{"spec.predictor.containers[0].ports[0].containerPort", "queue-proxy", "another one"},
	},
	"the agent's name": {
		predictor: fields{"containers": []any{fields{"name": "sidenote-agent", "image": "a"}}},
		says:      []string{"spec.predictor.containers[0].name", "write another one"},
	},
	"an unknown mode": {
		predictor: fields{"logger": fields{"mode": "everything"}},
		says:      []string{"spec.predictor.logger.mode", `"all", "request", "response"`},
	},
	"an unknown kind of event": {
		predictor: fields{"logger": fields{"events": []any{"requests"}}},
		says:      []string{"spec.predictor.logger.events[0]", `"request"`},
	},
	"an unknown way of refresh": {
		predictor: fields{"logger": fields{"metadataRefresh": "live"}},
		says:      []string{"spec.predictor.logger.metadataRefresh", `"Revision", "Live"`},
	},
	"an annotation that gives no attribute name": {
		metadata:  fields{"annotations": fields{"example.com/2nd-owner": "x"}},
		predictor: fields{"logger": fields{"metadataAnnotations": []any{"example.com/2nd-owner"}}},
		says:      []string{"spec.predictor.logger.metadataAnnotations[0]", "spec.predictor.logger.metadata: {attribute: NAME"},
	},
	"an annotation with the name of an attribute of the event's own": {
		predictor: fields{"logger": fields{"metadataAnnotations": []any{"example.com/source"}}},
		says:      []string{"spec.predictor.logger.metadataAnnotations[0]", "source", "spec.predictor.logger.metadata: {attribute: NAME"},
	},
	"two annotations for one attribute": {
		predictor: fields{"logger": fields{"metadataAnnotations": []any{"a.example/team", "b.example/team"}}},
		says:      []string{"metadataAnnotations[1]", "a.example/team", "b.example/team", "remove one"},
	},
	"an annotation that the cluster denies": {
		predictor: fields{"logger": fields{"metadataAnnotations": []any{"api-token"}}},
		says:      []string{"spec.predictor.logger.metadataAnnotations[0]", "config-logger", "*token*"},
	},
	"a header with credentials": {
		predictor: fields{"logger": fields{"metadataHeaders": []any{"Authorization"}}},
		says:      []string{"spec.predictor.logger.metadataHeaders[0]", "Authorization"},
	},
	"a header with credentials under another name": {
		predictor: fields{"logger": fields{"metadata": []any{fields{"attribute": "login", "header": "cookie"}}}},
		says:      []string{"spec.predictor.logger.metadata[0]", "cookie"},
	},
	"a pattern of annotations without Live": {
		predictor: fields{"logger": fields{"metadataAnnotations": []any{"example.com/*"}}},
		says:      []string{"spec.predictor.logger.metadataAnnotations[0]", "metadataRefresh: Live"},
	},
	"an attribute with two sources": {
		predictor: fields{"logger": fields{"metadata": []any{fields{"attribute": "team", "label": "team", "value": "a"}}}},
		says:      []string{"spec.predictor.logger.metadata[0].label", "spec.predictor.logger.metadata[0].value", "remove the others"},
	},
	"an override of an attribute of the event's own": {
		predictor: fields{"logger": fields{"ceOverrides": fields{"extensions": fields{"correlationid": "1"}}}},
		says:      []string{"spec.predictor.logger.ceOverrides.extensions", "correlationid"},
	},
	"a value of two lines": {
		metadata: fields{"annotations": fields{"team": "a\nb"}},
		says:     []string{"metadata.annotations[team]", "change the value"},
	},
	"a sink and a url": {
		predictor: fields{"logger": fields{"url": "http://a.example", "sink": fields{"uri": "http://b.example"}}},
		says:      []string{"spec.predictor.logger.sink", "spec.predictor.logger.url", "remove one"},
	},
	"a url without a host": {
		predictor: fields{"logger": fields{"url": "events"}},
		says:      []string{"spec.predictor.logger.url", "write an absolute URL"},
	},
	"a sink that is the service itself": {
		predictor: fields{"logger": fields{"sink": fields{"ref": fields{"apiVersion": "serving.kubeflow.org/v1beta1", "kind": "InferenceService", "name": "refused"}}}},
		says:      []string{"spec.predictor.logger.sink.ref", "name another sink"},
	},
	"a model format": {
		predictor: fields{"sklearn": fields{"storageUri": "gs://bucket"}},
		says:      []string{"spec.predictor.sklearn", "use KServe with a LoggerBinding", "containers"},
	},
	"a transformer's mode": {
		spec: fields{"transformer": fields{
			"containers": []any{fields{"image": "registry.example/transformer"}}, "logger": fields{"mode": "both"},
		}},
		says: []string{"spec.transformer.logger.mode", `write one of "all"`},
	},
	"a misspelt field of the predictor": {
		predictor: fields{"minreplicas": 1},
		says:      []string{"spec.predictor.minreplicas", "write minReplicas"},
	},
	"a misspelt field of the logger": {
		predictor: fields{"logger": fields{"metadataannotations": []any{"team"}}},
		says:      []string{"spec.predictor.logger.metadataannotations", "write metadataAnnotations"},
	},
	"a misspelt field of the sink": {
		predictor: fields{"logger": fields{"sink": fields{"ref": fields{"apiVersion": "v1", "kind": "Service", "name": "a", "Namespace": "b"}}}},
		says:      []string{"spec.predictor.logger.sink.ref.Namespace", "write namespace"},
	},
	"a sink of a kind without an address": {
		predictor: fields{"logger": fields{"sink": fields{"ref": fields{"apiVersion": "v1", "kind": "ConfigMap", "name": "a"}}}},
		says:      []string{"spec.predictor.logger.sink.ref.kind", "has no address"},
	},
	"a sink with somebody else's audience": {
		predictor: fields{"logger": fields{"sink": fields{"uri": "https://a.example", "audience": "sts.amazonaws.com"}}},
		says:      []string{"spec.predictor.logger.sink.audience", "allowed-audiences"},
	},
	"a misspelt field of the delivery": {
		predictor: fields{"logger": fields{"delivery": fields{"retries": 3}}},
		says:      []string{"spec.predictor.logger.delivery.retries", "retry"},
	},
	"a misspelt field of the dead letter sink": {
		predictor: fields{"logger": fields{"delivery": fields{"deadLetterSink": fields{"url": "http://a.example"}}}},
		says:      []string{"spec.predictor.logger.delivery.deadLetterSink.url", "uri"},
	},
	"a spool without a size": {
		predictor: fields{"logger": fields{"spool": fields{"sync": true}}},
		says:      []string{"spec.predictor.logger.spool.sizeLimit", "16Mi"},
	},
	"a misspelt field of the spool": {
		predictor: fields{"logger": fields{"spool": fields{"sizeLimit": "1Gi", "whenfull": "DropNewest"}}},
		says:      []string{"spec.predictor.logger.spool.whenfull", "write whenFull"},
	},
	"a name that is too long": {
		metadata: fields{"name": "a-name-of-some-more-than-38-characters-"[:38] + "0"},
		says:     []string{"metadata.name", "at most 38"},
	},
	"replicas said twice": {
		metadata:  fields{"annotations": fields{"autoscaling.knative.dev/min-scale": "1"}},
		predictor: fields{"minReplicas": 1},
		says:      []string{"spec.predictor.minReplicas", "autoscaling.knative.dev/min-scale", "remove one"},
	},
	"more replicas at least than at most": {
		predictor: fields{"minReplicas": 3, "maxReplicas": 2},
		says:      []string{"spec.predictor.minReplicas", "spec.predictor.maxReplicas"},
	},
	"a liveness probe, where Knative takes none": {
		predictor: fields{"containers": []any{fields{"image": "a", "livenessProbe": fields{"tcpSocket": fields{"port": 8080}}}}},
		says:      []string{"spec.predictor.containers[0].livenessProbe", "multi-container-probing"},
	},
	"a startup probe, where Knative takes none": {
		predictor: fields{"containers": []any{fields{"image": "a", "startupProbe": fields{"tcpSocket": fields{"port": 8080}}}}},
		says:      []string{"spec.predictor.containers[0].startupProbe", "multi-container-probing", "readinessProbe"},
	},
	"a deployment without Knative": {
		metadata: fields{"annotations": fields{"serving.kserve.io/deploymentMode": "RawDeployment"}},
		says:     []string{"metadata.annotations[serving.kserve.io/deploymentMode]", "every model runs on Knative Serving"},
	},
	"an agent with too little memory": {
		predictor: fields{"logger": fields{"resources": fields{"limits": fields{"memory": "16Mi"}}}},
		says:      []string{"spec.predictor.logger.resources.limits.memory", "write at least 32Mi"},
	},
	"a node selector, where Knative takes none": {
		predictor: fields{"nodeSelector": fields{"gpu": "true"}},
		says:      []string{"spec.predictor.nodeSelector", "kubernetes.podspec-nodeselector"},
	},
	"a negative timeout": {
		predictor: fields{"timeout": -1},
		says:      []string{"spec.predictor.timeout"},
	},
}

// apply sends an object to the API server.
type apply func(context.Context, dynamic.ResourceInterface, *unstructured.Unstructured) error

// Admission tests that the API server refuses a mistake with the field and the
// remedy, and takes the seed's example, whichever way it is applied.
func Admission() *feature.Feature {
	f := feature.NewFeatureNamed("admission")
	ways := map[string]apply{
		"client-side":                    applyClientSide(metav1.FieldValidationStrict),
		"client-side, --validate=false,": applyClientSide(metav1.FieldValidationIgnore),
		"server-side":                    applyServerSide(metav1.FieldValidationStrict),
		"server-side, --validate=false,": applyServerSide(metav1.FieldValidationIgnore),
	}
	for i, way := range slices.Sorted(maps.Keys(ways)) {
		f.Assert("the example is taken when applied "+way, func(ctx context.Context, t feature.T) {
			if err := ways[way](ctx, inferenceServices(ctx), example("taken-"+strconv.Itoa(i), nil, nil, nil)); err != nil {
				t.Error(err)
			}
		})
		for _, mistake := range slices.Sorted(maps.Keys(refusals)) {
			f.Assert(mistake+" is refused when applied "+way, func(ctx context.Context, t feature.T) {
				refusal := refusals[mistake]
				err := ways[way](ctx, inferenceServices(ctx), example("refused", refusal.metadata, refusal.predictor, refusal.spec))
				if err == nil {
					t.Fatal("it was taken")
				}
				for _, text := range refusal.says {
					if !strings.Contains(err.Error(), text) {
						t.Errorf("the response lacks %q: %v", text, err)
					}
				}
			})
		}
	}
	return f
}

func inferenceServices(ctx context.Context) dynamic.ResourceInterface {
	return dynamicclient.Get(ctx).Resource(inferenceservice.GVR()).Namespace(environment.FromContext(ctx).Namespace())
}

// example is the seed's object with some fields replaced.
func example(name string, metadata, predictor, spec fields) *unstructured.Unstructured {
	allMetadata := fields{"name": name, "annotations": fields{"team": "ai-platform", "owner": "ml-ops", "version": "v2.1.0"}}
	maps.Copy(allMetadata, metadata)
	allPredictor := fields{
		"logger":     fields{"mode": "all", "metadataAnnotations": []any{"team", "owner"}},
		"containers": []any{fields{"image": "model", "ports": []any{fields{"containerPort": 8080}}}},
	}
	maps.Copy(allPredictor, predictor)
	allSpec := fields{"predictor": allPredictor}
	maps.Copy(allSpec, spec)
	return &unstructured.Unstructured{Object: fields{
		"apiVersion": inferenceservice.GVR().GroupVersion().String(), "kind": "InferenceService", "metadata": allMetadata, "spec": allSpec,
	}}
}

// applyClientSide does what kubectl apply does with a new object.
func applyClientSide(validation string) apply {
	return func(ctx context.Context, client dynamic.ResourceInterface, object *unstructured.Unstructured) error {
		_, err := client.Create(ctx, object, metav1.CreateOptions{FieldManager: "kubectl-client-side-apply", FieldValidation: validation})
		return err
	}
}

// applyServerSide does what kubectl apply --server-side does.
func applyServerSide(validation string) apply {
	return func(ctx context.Context, client dynamic.ResourceInterface, object *unstructured.Unstructured) error {
		text, err := json.Marshal(object)
		if err != nil {
			return fmt.Errorf("writing the object: %w", err)
		}
		_, err = client.Patch(ctx, object.GetName(), types.ApplyPatchType, text,
			metav1.PatchOptions{FieldManager: "kubectl", FieldValidation: validation, Force: ptr.To(true)})
		return err
	}
}
