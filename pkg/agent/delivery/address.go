/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
)

// AddressClass names the addresses that no sink may have. The set is closed:
// it labels metrics.
type AddressClass string

// The classes. None is that of all other addresses.
const (
	AddressNone        AddressClass = ""
	AddressLoopback    AddressClass = "loopback"
	AddressLinkLocal   AddressClass = "link-local"
	AddressMetadata    AddressClass = "metadata"
	AddressUnspecified AddressClass = "unspecified"
	AddressMulticast   AddressClass = "multicast"
)

// AddressClasses lists every AddressClass that no sink may have.
func AddressClasses() []AddressClass {
	return []AddressClass{AddressLoopback, AddressLinkLocal, AddressMetadata, AddressUnspecified, AddressMulticast}
}

var (
	// metadataServices answer any process of a machine with its credentials.
	metadataServices = []netip.Addr{
		netip.MustParseAddr("169.254.169.254"),
		netip.MustParseAddr("fd00:ec2::254"),
		netip.MustParseAddr("100.100.100.200"), // Alibaba Cloud
		netip.MustParseAddr("168.63.129.16"),   // Azure
		netip.MustParseAddr("192.0.0.192"),     // Oracle Cloud
	}
	thisNetwork = netip.MustParsePrefix("0.0.0.0/8")
	broadcast   = netip.MustParseAddr("255.255.255.255")
	// nat64 carries an IPv4 address in its last four bytes (RFC 6052).
	nat64 = netip.MustParsePrefix("64:ff9b::/96")
)

// ClassifyAddress gives the class of an address, in whatever form it is.
func ClassifyAddress(address netip.Addr) AddressClass {
	address = address.WithZone("").Unmap()
	if nat64.Contains(address) {
		bytes := address.As16()
		address = netip.AddrFrom4([4]byte(bytes[12:]))
	}
	for _, service := range metadataServices {
		if address == service {
			return AddressMetadata
		}
	}
	switch {
	case address.IsLoopback():
		return AddressLoopback
	case address.IsUnspecified(), thisNetwork.Contains(address):
		return AddressUnspecified
	case address.IsMulticast(), address == broadcast:
		return AddressMulticast
	case address.IsLinkLocalUnicast():
		return AddressLinkLocal
	default:
		return AddressNone
	}
}

// NamesLoopback says whether a URL itself says that it is on this machine.
func NamesLoopback(u *url.URL) bool {
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if address, err := netip.ParseAddr(host); err == nil {
		return ClassifyAddress(address) == AddressLoopback
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// refusedAddressError says that a sink's name has only addresses that none may
// have.
type refusedAddressError struct{ class AddressClass }

func (e *refusedAddressError) Error() string {
	return fmt.Sprintf("the sink's address is refused: %s", e.class)
}

// guardedDial dials what a name resolves to, but for addresses that no sink
// may have: a name that resolves to one is as good as the address itself.
func guardedDial(allowLoopback bool) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		// Several addresses may be tried at the same time.
		var allowed atomic.Bool
		var refused atomic.Pointer[refusedAddressError]
		dialer := net.Dialer{
			Timeout: dialTimeout,
			ControlContext: func(_ context.Context, _, resolved string, _ syscall.RawConn) error {
				class := AddressUnspecified
				if parsed, err := netip.ParseAddrPort(resolved); err == nil {
					class = ClassifyAddress(parsed.Addr())
				}
				if class == AddressNone || (class == AddressLoopback && allowLoopback) {
					allowed.Store(true)
					return nil
				}
				refusal := &refusedAddressError{class}
				refused.Store(refusal)
				return refusal
			},
		}
		connection, err := dialer.DialContext(ctx, network, address)
		if refusal := refused.Load(); err != nil && refusal != nil && !allowed.Load() {
			return nil, refusal
		}
		return connection, err
	}
}
