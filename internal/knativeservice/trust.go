/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"
	"knative.dev/pkg/ptr"

	"github.com/sidenote-dev/sidenote/internal/sinkaddress"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

const (
	trustVolume = v1beta1.ReservedNamePrefix + "trust"
	// trustDirectory has a directory for each sink, with the cluster's
	// authorities and the sink's own in it, and a file with its address.
	trustDirectory = "/etc/sidenote/trust"

	clusterTrustKey = "cluster.pem"
	// sinkTrustKey and deadLetterTrustKey are those of a sink without Key.
	sinkTrustKey       = "sink.pem"
	deadLetterTrustKey = "dead-letter.pem"

	// maxTrustBytes leaves a ConfigMap room for the rest of it: Kubernetes
	// takes 1 MiB.
	maxTrustBytes = 1_000_000
)

// Trust is whom the cluster's administrators trust, beside each system's own
// authorities.
type Trust struct {
	// PEM has the certificates, each once. Empty: there are none.
	PEM string
	// LeftOut says of each bundle that is not in it why.
	LeftOut []string
}

// CombineTrust makes one of Knative's trust bundles, in the order of their
// names. A bundle that doesn't fit is left out whole.
func CombineTrust(bundles []*corev1.ConfigMap) (trust Trust) {
	bundles = slices.SortedFunc(slices.Values(bundles), func(a, b *corev1.ConfigMap) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	var all bytes.Buffer
	taken := make(map[string]bool)
	for _, bundle := range bundles {
		var own bytes.Buffer
		var added []string
		found := false
		for _, certificate := range certificates(bundle) {
			found = true
			key := string(certificate)
			if taken[key] || slices.Contains(added, key) {
				continue
			}
			added = append(added, key)
			// Only a block's headers can't be written, of which there are none.
			_ = pem.Encode(&own, &pem.Block{Type: certificateType, Bytes: certificate})
		}
		switch {
		case !found:
			trust.LeftOut = append(trust.LeftOut, fmt.Sprintf("%s/%s has no certificate in PEM", bundle.Namespace, bundle.Name))
		case all.Len()+own.Len() > maxTrustBytes:
			trust.LeftOut = append(trust.LeftOut, fmt.Sprintf("%s/%s has %d bytes, but only %d of %d are left",
				bundle.Namespace, bundle.Name, own.Len(), maxTrustBytes-all.Len(), maxTrustBytes))
		default:
			all.Write(own.Bytes())
			for _, key := range added {
				taken[key] = true
			}
		}
	}
	trust.PEM = all.String()
	return trust
}

const certificateType = "CERTIFICATE"

// certificates returns what is a certificate of a ConfigMap's values, in the
// order of their keys.
func certificates(bundle *corev1.ConfigMap) (found [][]byte) {
	take := func(rest []byte) {
		for {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				return
			}
			if block.Type != certificateType {
				continue
			}
			if _, err := x509.ParseCertificate(block.Bytes); err == nil {
				found = append(found, block.Bytes)
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(bundle.Data)) {
		take([]byte(bundle.Data[key]))
	}
	for _, key := range slices.Sorted(maps.Keys(bundle.BinaryData)) {
		take(bundle.BinaryData[key])
	}
	return found
}

// NamespaceTrustName is the ConfigMap of a namespace with the authorities of
// the cluster, which all agents of it share.
const NamespaceTrustName = "sidenote-trust"

// trustComponent is in the label of that ConfigMap.
const trustComponent = "trust"

// MakeNamespaceTrust builds the ConfigMap that carries the cluster's
// certificate authorities to the running agents of a namespace.
func MakeNamespaceTrust(namespace string, cluster Trust) *corev1.ConfigMap {
	configMap := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Name: NamespaceTrustName, Namespace: namespace,
		Labels: map[string]string{serving.ComponentLabelKey: trustComponent},
	}}
	if cluster.PEM != "" {
		configMap.Data = map[string]string{clusterTrustKey: cluster.PEM}
	}
	return configMap
}

// IsNamespaceTrust reports whether a ConfigMap is one that this controller made
// for a namespace.
func IsNamespaceTrust(configMap *corev1.ConfigMap) bool {
	return configMap.Name == NamespaceTrustName && configMap.Labels[serving.ComponentLabelKey] == trustComponent
}

// MakeTrust builds the ConfigMap that carries to the running agents of a Knative
// Service where each of its sinks is and which authorities that has.
// Kept are the keys of which the current value stays, where there is one: the
// sink doesn't resolve now, or is no longer the one that is looked at.
func MakeTrust(subject Subject, cluster Trust, applied Applied, desired Desired) (configMap *corev1.ConfigMap, kept []string) {
	configMap = &corev1.ConfigMap{
		ObjectMeta: subject.configMapMeta(subject.TrustName),
		Data:       make(map[string]string),
	}
	add := func(sink *AppliedSink, desired *DesiredSink, role, plainTrustKey string) {
		if sink == nil {
			return
		}
		trustKey, addressKey := plainTrustKey, ""
		if sink.Key != "" {
			trustKey, addressKey = keyedTrust(role, sink), keyedAddress(role, sink)
		} else if cluster.PEM != "" {
			// Its template reads the cluster's authorities from here.
			configMap.Data[clusterTrustKey] = cluster.PEM
		}
		switch reachOf(sink, desired) {
		case reachKept:
			for _, key := range []string{trustKey, addressKey} {
				// Sinks with one destination have one key.
				if key != "" && !slices.Contains(kept, key) {
					kept = append(kept, key)
				}
			}
			return
		case reachNone:
			if addressKey != "" {
				configMap.Data[addressKey] = string(sinkaddress.Address{}.Marshal())
			}
			return
		}
		if pem := desired.Address.CACerts; pem != nil && *pem != "" {
			configMap.Data[trustKey] = *pem
		}
		if addressKey != "" {
			address := sinkaddress.Address{URL: desired.Address.URL.URL()}
			if audience := desired.Address.Audience; audience != nil {
				address.Audience = *audience
			}
			configMap.Data[addressKey] = string(address.Marshal())
		}
	}
	for _, pair := range applied.Sinks {
		named := desired.pair(pair.Name)
		if named == nil {
			named = &DesiredPair{}
		}
		add(pair.Sink, &named.Sink, sinkRole, sinkTrustKey)
		add(pair.DeadLetterSink, named.DeadLetterSink, deadLetterRole, deadLetterTrustKey)
	}
	return configMap, kept
}

// The roles of sinks, in the names of keys.
const (
	sinkRole       = "sink"
	deadLetterRole = "dead-letter"
)

func keyedTrust(role string, sink *AppliedSink) string   { return role + "-" + sink.Key + ".pem" }
func keyedAddress(role string, sink *AppliedSink) string { return role + "-" + sink.Key + ".json" }

// IsTrustKey reports whether a key of the ConfigMap of MakeTrust is one that some
// template reads.
func IsTrustKey(key string) bool {
	return key == clusterTrustKey || strings.HasPrefix(key, sinkRole) || strings.HasPrefix(key, deadLetterRole)
}

// reach is what is known of where a sink in use is.
type reach uint8

const (
	// reachKept: nothing new, what was known last holds.
	reachKept reach = iota
	// reachNone: it must get nothing.
	reachNone
	// reachKnown: it has the desired sink's address.
	reachKnown
)

func reachOf(applied *AppliedSink, desired *DesiredSink) reach {
	switch {
	case applied == nil:
		return reachNone
	case desired == nil, !equality.Semantic.DeepEqual(applied.Destination, desired.Destination):
		return reachKept
	case desired.Refused:
		return reachNone
	case desired.Address == nil:
		return reachKept
	default:
		return reachKnown
	}
}

// AppliedAddress returns where the events for a sink of the template go, or nil
// for nowhere. Filed says that running agents have an address from a file, and
// last is what this gave then, for a sink that doesn't resolve now.
func AppliedAddress(applied *AppliedSink, desired *DesiredSink, filed bool, last *apis.URL) *apis.URL {
	switch reached := reachOf(applied, desired); {
	case reached == reachNone:
		return nil
	case applied.Key == "":
		return applied.Address.URL
	case reached == reachKnown:
		return desired.Address.URL
	case filed:
		return last
	default:
		return applied.Address.URL
	}
}

// AddressKeys returns the keys of the ConfigMap of MakeTrust with the addresses of
// the sink and of the dead letter sink, or "" if there is none.
func (p AppliedPair) AddressKeys() (sink, deadLetterSink string) {
	if s := p.Sink; s != nil && s.Key != "" {
		sink = keyedAddress(sinkRole, s)
	}
	if s := p.DeadLetterSink; s != nil && s.Key != "" {
		deadLetterSink = keyedAddress(deadLetterRole, s)
	}
	return sink, deadLetterSink
}

// LacksToken returns the audience that a sink asks a token for and the template
// has none for, or "".
func LacksToken(applied *AppliedSink, desired *DesiredSink) string {
	if reachOf(applied, desired) != reachKnown || desired.Address.Audience == nil || *desired.Address.Audience == applied.audience() {
		return ""
	}
	return *desired.Address.Audience
}

// SentAudience returns the audience of the token that the agent sends to a sink, or
// "" if it sends none.
func SentAudience(applied *AppliedSink, desired *DesiredSink) string {
	if reachOf(applied, desired) != reachKnown || desired.Address.Audience == nil || *desired.Address.Audience != applied.audience() {
		return ""
	}
	return applied.audience()
}

// mountTrust returns the agent the authorities and the addresses of its sinks,
// whether there are any now or not: one that comes later must not change the
// template.
func mountTrust(configMap string, pod *corev1.PodSpec, agent *corev1.Container, applied Applied) {
	// Without the ConfigMap, and without any of its keys.
	optional := ptr.Bool(true)
	own := corev1.LocalObjectReference{Name: configMap}
	if applied.isOlder() {
		mount(pod, agent, trustDirectory, corev1.Volume{Name: trustVolume, VolumeSource: corev1.VolumeSource{
			ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: own, Optional: optional, Items: []corev1.KeyToPath{
				{Key: clusterTrustKey, Path: "sink/cluster.pem"},
				{Key: sinkTrustKey, Path: "sink/own.pem"},
				{Key: clusterTrustKey, Path: "dead-letter/cluster.pem"},
				{Key: deadLetterTrustKey, Path: "dead-letter/own.pem"},
			}},
		}})
		return
	}
	var shared, items []corev1.KeyToPath
	add := func(role string, sink *AppliedSink, at place) {
		shared = append(shared, corev1.KeyToPath{Key: clusterTrustKey, Path: at.trust + "/cluster.pem"})
		items = append(items,
			corev1.KeyToPath{Key: keyedTrust(role, sink), Path: at.trust + "/own.pem"},
			corev1.KeyToPath{Key: keyedAddress(role, sink), Path: at.address})
	}
	for _, pair := range applied.Sinks {
		if pair.Sink == nil {
			continue
		}
		add(sinkRole, pair.Sink, placeOfSink(pair.Name))
		if pair.DeadLetterSink != nil {
			add(deadLetterRole, pair.DeadLetterSink, placeOfDeadLetterSink(pair.Name))
		}
	}
	if len(items) == 0 {
		return
	}
	mount(pod, agent, trustDirectory, corev1.Volume{Name: trustVolume, VolumeSource: corev1.VolumeSource{
		// One volume, of which the kubelet changes all files at once.
		Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: NamespaceTrustName}, Optional: optional, Items: shared}},
			{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: own, Optional: optional, Items: items}},
		}},
	}})
}

// isOlder reports whether a template is of a release without address files.
func (a Applied) isOlder() bool {
	return slices.ContainsFunc(a.Sinks, func(p AppliedPair) bool { return p.Sink != nil && p.Sink.Key == "" })
}
