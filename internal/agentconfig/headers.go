/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agentconfig

import (
	"fmt"

	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// validateHeaders says why headers can't give attributes beside the others.
func (c *Config) validateHeaders() error {
	if count := len(c.Metadata) + len(c.MetadataHeaders); len(c.MetadataHeaders) > 0 && count > metadata.MaxAttributes {
		return fmt.Errorf("%d attributes, with those of --metadata: at most %d can go into an event", count, metadata.MaxAttributes)
	}
	seen := make(map[string]bool)
	for _, attribute := range c.Metadata {
		seen[attribute.Name] = true
	}
	for _, source := range c.MetadataHeaders {
		if err := metadata.ValidateName(source.Attribute); err != nil {
			return err
		}
		if err := metadata.ValidateHeader(source.Header); err != nil {
			return fmt.Errorf("attribute %q: %w", source.Attribute, err)
		}
		if seen[source.Attribute] {
			return fmt.Errorf("attribute %q is given twice", source.Attribute)
		}
		seen[source.Attribute] = true
	}
	return nil
}
