/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import "net/netip"

// carriers are the prefixes of IPv6 addresses that carry an IPv4 address, with
// the places of its four bytes. A NAT64 that has a prefix of its operator's own
// can't be told from any other network.
var carriers = []struct {
	prefix netip.Prefix
	places [][4]int
	// inverted says that the bits at the last place are.
	inverted bool
}{
	// IPv4-compatible (RFC 4291), and IPv4-translated (RFC 2765).
	{prefix: netip.MustParsePrefix("::/96"), places: [][4]int{{12, 13, 14, 15}}},
	{prefix: netip.MustParsePrefix("::ffff:0:0:0/96"), places: [][4]int{{12, 13, 14, 15}}},
	// NAT64's well-known prefix (RFC 6052), and the one for local use (RFC 8215),
	// in which prefixes of 48, 56, 64 and 96 bits have room. Byte 8 is none of
	// the IPv4 address's.
	{prefix: netip.MustParsePrefix("64:ff9b::/96"), places: [][4]int{{12, 13, 14, 15}}},
	{prefix: netip.MustParsePrefix("64:ff9b:1::/48"), places: [][4]int{{12, 13, 14, 15}, {6, 7, 9, 10}, {7, 9, 10, 11}, {9, 10, 11, 12}}},
	// 6to4 (RFC 3056).
	{prefix: netip.MustParsePrefix("2002::/16"), places: [][4]int{{2, 3, 4, 5}}},
	// Teredo's server and client (RFC 4380).
	{prefix: netip.MustParsePrefix("2001::/32"), places: [][4]int{{4, 5, 6, 7}, {12, 13, 14, 15}}, inverted: true},
}

// embedded returns the IPv4 addresses that an IPv6 address may carry. Where a
// prefix allows several places, there is one for each.
func embedded(address netip.Addr) []netip.Addr {
	if !address.Is6() {
		return nil
	}
	bytes := address.As16()
	var found []netip.Addr
	for _, carrier := range carriers {
		if !carrier.prefix.Contains(address) {
			continue
		}
		for i, place := range carrier.places {
			var inner [4]byte
			for j, at := range place {
				inner[j] = bytes[at]
				if carrier.inverted && i == len(carrier.places)-1 {
					inner[j] = ^inner[j]
				}
			}
			found = append(found, netip.AddrFrom4(inner))
		}
	}
	// ISATAP (RFC 5214), under any prefix.
	if bytes[8]&^0x02 == 0 && bytes[9] == 0 && bytes[10] == 0x5e && bytes[11] == 0xfe {
		found = append(found, netip.AddrFrom4([4]byte(bytes[12:])))
	}
	return found
}
