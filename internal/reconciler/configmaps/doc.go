/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package configmaps keeps the ConfigMaps that running agents read: it compares
// them by fingerprints and writes the changes.
package configmaps
