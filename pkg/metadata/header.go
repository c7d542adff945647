/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package metadata

import (
	"fmt"
	"strings"
)

// maxHeaderNameBytes bounds the name of a header.
const maxHeaderNameBytes = 256

// credentialHeaders are the headers that have credentials, whatever the cluster
// denies.
var credentialHeaders = toSet("authorization", "proxy-authorization", "cookie", "set-cookie")

// ValidateHeader says why a header of a request can't give the value of an
// attribute: its name is not a token of HTTP, or it has credentials.
func ValidateHeader(name string) error {
	if name == "" || len(name) > maxHeaderNameBytes || strings.ContainsFunc(name, func(r rune) bool { return !isTokenRune(r) }) {
		return fmt.Errorf("%q is not the name of a header: write letters, digits and hyphens, such as X-Tenant", name)
	}
	if credentialHeaders[strings.ToLower(name)] {
		return fmt.Errorf("the header %q has credentials, which no event may carry: name another header", name)
	}
	return nil
}

// isTokenRune takes the characters of a token (RFC 9110, 5.6.2).
func isTokenRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}
