/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package stages

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
)

func TestRoom(t *testing.T) {
	for _, test := range []struct{ due, unready, want int }{{5, 0, 3}, {5, 1, 2}, {5, 3, 0}, {5, 9, 0}, {1, 0, 1}, {0, 0, 0}} {
		if got := Room(test.due, test.unready); got != test.want {
			t.Errorf("of %d due beside %d: %d, want %d", test.due, test.unready, got, test.want)
		}
	}
}

func TestWrittenIsUnseenUntilTheCacheHasIt(t *testing.T) {
	at := func(name string, generation int64) *servingv1.Service {
		return &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name, Generation: generation}}
	}
	var written Written
	if written.Unseen(at("a", 1)) {
		t.Error("nothing was written")
	}
	written.Add(at("a", 2))
	written.Add(at("b", 2))
	if !written.Unseen(at("a", 1)) || written.Unseen(at("a", 2)) || written.Unseen(at("a", 1)) {
		t.Error("a is unseen until the cache has its generation")
	}
	written.Retain([]*servingv1.Service{at("a", 2)})
	if written.Unseen(at("b", 1)) {
		t.Error("b doesn't exist any more")
	}
}
