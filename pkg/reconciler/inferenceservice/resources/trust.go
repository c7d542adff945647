/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package resources

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
	"knative.dev/pkg/kmeta"
	"knative.dev/pkg/ptr"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

const (
	trustVolume = v1beta1.ReservedNamePrefix + "trust"
	// trustDirectory has a directory for each sink, with the cluster's
	// authorities and the sink's own in it.
	trustDirectory           = "/etc/sidenote/trust"
	sinkTrustDirectory       = trustDirectory + "/sink"
	deadLetterTrustDirectory = trustDirectory + "/dead-letter"

	clusterTrustKey    = "cluster.pem"
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
			trust.LeftOut = append(trust.LeftOut, fmt.Sprintf("%s/%s has %d bytes, where %d are left of %d",
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

// certificates gives what is a certificate of a ConfigMap's values, in the
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

// MakeTrust builds the ConfigMap that carries certificate authorities to
// running agents, or gives nil where there are none: those of the cluster, and
// those of each sink. Each InferenceService has its own, which goes with it.
// Before is the data that it has now.
func MakeTrust(is *v1beta1.InferenceService, cluster Trust, inForce InForce, wanted Wanted, before map[string]string) *corev1.ConfigMap {
	data := make(map[string]string)
	set := func(key, pem string) {
		if pem != "" {
			data[key] = pem
		}
	}
	set(clusterTrustKey, cluster.PEM)
	set(sinkTrustKey, ownTrust(inForce.Sink, &wanted.Sink, before[sinkTrustKey]))
	set(deadLetterTrustKey, ownTrust(inForce.DeadLetterSink, wanted.DeadLetterSink, before[deadLetterTrustKey]))
	if len(data) == 0 {
		return nil
	}
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Name:            is.TrustName(v1beta1.PredictorComponent),
			Namespace:       is.Namespace,
			Labels:          componentLabels(is),
			OwnerReferences: []metav1.OwnerReference{*kmeta.NewControllerRef(is)},
		},
		Data: data,
	}
}

// ownTrust gives the CACerts that the sink in force has now, and those that it
// had last where it doesn't resolve, or is no longer the one that is looked
// at.
func ownTrust(inForce *Sink, wanted *WantedSink, before string) string {
	switch {
	case inForce == nil:
		return ""
	case wanted == nil, wanted.Address == nil, !equality.Semantic.DeepEqual(inForce.Destination, wanted.Destination):
		return before
	case wanted.Address.CACerts == nil:
		return ""
	default:
		return *wanted.Address.CACerts
	}
}

// mountTrust gives the agent the authorities, whether there are any now or
// not: one that comes later must not change the template.
func mountTrust(is *v1beta1.InferenceService, pod *corev1.PodSpec, agent *corev1.Container) {
	mount(pod, agent, trustDirectory, corev1.Volume{Name: trustVolume, VolumeSource: corev1.VolumeSource{
		ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: is.TrustName(v1beta1.PredictorComponent)},
			Items: []corev1.KeyToPath{
				{Key: clusterTrustKey, Path: "sink/cluster.pem"},
				{Key: sinkTrustKey, Path: "sink/own.pem"},
				{Key: clusterTrustKey, Path: "dead-letter/cluster.pem"},
				{Key: deadLetterTrustKey, Path: "dead-letter/own.pem"},
			},
			// Without the ConfigMap, and without any of its keys.
			Optional: ptr.Bool(true),
		},
	}})
}
