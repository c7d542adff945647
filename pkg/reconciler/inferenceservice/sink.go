/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inferenceservice

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	"knative.dev/pkg/network"

	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/reconciler/inferenceservice/resources"
	"github.com/sidenote-dev/sidenote/pkg/sinkaddress"
)

// resolveSink finds where the InferenceService's events go, and marks whether
// it has an address.
func (r *Reconciler) resolveSink(ctx context.Context, is *v1beta1.InferenceService, cluster *config.Logger) resources.WantedSink {
	sink := wantedSink(is, cluster)
	who, field := "the sink", "spec.predictor.logger.sink.uri"
	switch {
	case sink.ByDefault:
		who, field = "the cluster's default sink", "default-sink of the ConfigMap "+config.LoggerConfigName
	case is.Spec.Predictor.Logger.Sink == nil:
		field = "spec.predictor.logger.url"
	}
	if reason, message := r.resolve(ctx, is, who, field, &sink, cluster.AllowedAudiences); reason != "" {
		is.Status.MarkSinkNotResolved(reason, message)
	} else {
		is.Status.MarkSinkResolved()
	}
	return sink
}

// resolveDeadLetterSink does the same for the events that the sink doesn't
// take. It gives nil where no such sink is named.
func (r *Reconciler) resolveDeadLetterSink(ctx context.Context, is *v1beta1.InferenceService, cluster *config.Logger) *resources.WantedSink {
	delivery := is.Spec.Predictor.Logger.Delivery
	if delivery == nil || delivery.DeadLetterSink == nil {
		is.Status.ClearDeadLetterSink()
		return nil
	}
	sink := &resources.WantedSink{Destination: inNamespace(*delivery.DeadLetterSink.DeepCopy(), is.Namespace)}
	if reason, message := r.resolve(ctx, is, "the dead letter sink", "spec.predictor.logger.delivery.deadLetterSink.uri", sink, cluster.AllowedAudiences); reason != "" {
		is.Status.MarkDeadLetterSinkNotResolved(reason, message)
	} else {
		is.Status.MarkDeadLetterSinkResolved()
	}
	return sink
}

// resolve sets a sink's address, without an audience that the sink may not
// have, has the controller woken when that changes, and says why there is none.
// Who and field are names of the sink and of the field with its URL.
func (r *Reconciler) resolve(ctx context.Context, is *v1beta1.InferenceService, who, field string, sink *resources.WantedSink, allowedAudiences []string) (reason, message string) {
	described := describe(who, sink.Destination)
	// Before anything of that kind is listed.
	if err := v1beta1.ValidateAddressable(sink.Destination.Ref); err != nil {
		sink.Refused = true
		return "SinkNotAddressable", fmt.Sprintf("%s is no sink: %v", described, err)
	}
	// Beside a ref it may resolve to an address that is usable.
	if err := v1beta1.ValidateURL(sink.Destination.URI); err != nil {
		return "SinkUnusable", fmt.Sprintf("%s has a URL that the agent can't use, in %s: %v", described, field, err)
	}
	address, err := r.resolver.AddressableFromDestinationV1(ctx, sink.Destination, is)
	switch {
	case err != nil:
		return "NotResolved", fmt.Sprintf("%s has no address: %v; %s", described, err, remedy(*sink))
	case isSelf(is, address):
		sink.Refused = true
		return "SinkIsSelf", described + " is this service itself, which would be fed its own events for ever: name another sink"
	case unusable(address) != nil:
		return "SinkUnusable", fmt.Sprintf("%s has an address that the agent can't use: %v", described, unusable(address))
	}
	sink.Address = address
	if audience := address.Audience; audience != nil && !v1beta1.PermitsAudience(sink.Destination, *audience, allowedAudiences) {
		address.Audience = nil
		if *audience != "" {
			return "AudienceRefused", fmt.Sprintf("%s asks for a token for the audience %q, which is not its own: events go out without a token, and a sink that requires one answers 401; "+
				"have the audience corrected, or listed in allowed-audiences of the ConfigMap %s", described, *audience, config.LoggerConfigName)
		}
	}
	return "", ""
}

// unusable says why an agent given this address would refuse to start, and
// take its model down with it.
func unusable(address *duckv1.Addressable) error {
	if err := v1beta1.ValidateURL(address.URL); err != nil {
		return err
	}
	if _, err := sinkaddress.ParseURL(address.URL.String()); err != nil {
		return err
	}
	if certificates := address.CACerts; certificates != nil && !x509.NewCertPool().AppendCertsFromPEM([]byte(*certificates)) {
		return errors.New("its CACerts hold no certificate in PEM")
	}
	return nil
}

// wantedSink gives the destination that the owner or else the cluster names.
func wantedSink(is *v1beta1.InferenceService, cluster *config.Logger) resources.WantedSink {
	logger := is.Spec.Predictor.Logger
	switch {
	case logger.Sink != nil:
		return resources.WantedSink{Destination: inNamespace(*logger.Sink.DeepCopy(), is.Namespace)}
	case logger.URL != nil:
		return resources.WantedSink{Destination: duckv1.Destination{URI: logger.URL.DeepCopy()}}
	default:
		return resources.WantedSink{Destination: inNamespace(*cluster.DefaultSink.DeepCopy(), is.Namespace), ByDefault: true}
	}
}

func inNamespace(destination duckv1.Destination, namespace string) duckv1.Destination {
	if destination.Ref != nil && destination.Ref.Namespace == "" {
		destination.Ref.Namespace = namespace
	}
	return destination
}

// isSelf reports whether an address leads back to the service. A sink by URL
// shows it only now.
func isSelf(is *v1beta1.InferenceService, address *duckv1.Addressable) bool {
	host := asHost(address.URL)
	own := network.GetServiceHostname(is.ServiceName(v1beta1.PredictorComponent), is.Namespace)
	// A pod of the namespace resolves any leading part of the own name.
	return host == own || strings.HasPrefix(own, host+".") ||
		(is.Status.URL != nil && host == asHost(is.Status.URL))
}

// asHost gives a URL's host as DNS compares it.
func asHost(url *apis.URL) string {
	return strings.ToLower(strings.TrimSuffix(url.URL().Hostname(), "."))
}

func describe(who string, destination duckv1.Destination) string {
	if ref := destination.Ref; ref != nil {
		return fmt.Sprintf("%s, %s %s/%s,", who, ref.Kind, ref.Namespace, ref.Name)
	}
	return who
}

func remedy(sink resources.WantedSink) string {
	if sink.ByDefault {
		return "create it, or name another in spec.predictor.logger.sink"
	}
	return "create it, or name another"
}
