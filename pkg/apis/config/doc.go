/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package config holds the typed form of the ConfigMaps that steer Sidenote,
// and carries a frozen copy of them in the context of each reconcile and each
// admission.
package config
