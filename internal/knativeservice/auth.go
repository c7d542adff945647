/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"errors"

	corev1 "k8s.io/api/core/v1"
	"knative.dev/pkg/ptr"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// credentials returns the Secret with a sink's credentials, and the keys of it that
// the agent reads. There is none if the credentials must not be sent.
func credentials(sink v1beta1.EffectiveSink) *corev1.SecretVolumeSource {
	auth := sink.Auth
	if auth == nil || sink.RefuseAuth() != "" {
		return nil
	}
	// The pod starts without it: serving never depends on logging.
	source := &corev1.SecretVolumeSource{Optional: ptr.Bool(true)}
	switch {
	case auth.Bearer != nil:
		source.SecretName = auth.Bearer.Name
		source.Items = []corev1.KeyToPath{{Key: auth.Bearer.Key, Path: tokenFile}}
	case auth.Basic != nil:
		source.SecretName = auth.Basic.Name
		source.Items = []corev1.KeyToPath{
			{Key: corev1.BasicAuthUsernameKey, Path: corev1.BasicAuthUsernameKey},
			{Key: corev1.BasicAuthPasswordKey, Path: corev1.BasicAuthPasswordKey},
		}
	default:
		return nil
	}
	return source
}

// mountAuth gives the agent the credentials of a sink.
func mountAuth(pod *corev1.PodSpec, agent *corev1.Container, sink v1beta1.EffectiveSink) {
	if source := credentials(sink); source != nil {
		volume, directory := authPlace(sink.Name)
		mount(pod, agent, directory, corev1.Volume{Name: volume, VolumeSource: corev1.VolumeSource{Secret: source}})
	}
}

// addAuth adds where the credentials of a sink are.
func (d *agentDraft) addAuth(sink v1beta1.EffectiveSink) {
	if reason := sink.RefuseAuth(); reason != "" {
		d.addOfLogger(sink.Field("auth"), refuse(errors.New(reason)))
	}
	if credentials(sink) == nil {
		return
	}
	_, directory := authPlace(sink.Name)
	d.addOfSink(sink, "auth", func(s *agentconfig.Sink) error {
		if sink.Auth.Bearer != nil {
			s.TokenFile, s.TokenAudience = directory+"/"+tokenFile, ""
		} else {
			s.BasicAuthDir = directory
		}
		return nil
	})
}
