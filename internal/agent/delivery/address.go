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
	// metadataServices respond to any process of a machine with its credentials.
	// Those of other clouds (ECS, Tencent, Scaleway and OpenStack among them) are
	// link-local.
	metadataServices = prefixes(
		"169.254.169.254/32",
		"100.100.100.200/32",     // Alibaba Cloud: alibabacloud.com/help/en/ecs/user-guide/view-instance-metadata
		"fd00:100::100:200/128",  // the same over IPv6, as cloud-init has it
		"168.63.129.16/32",       // Azure: learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
		"192.0.0.192/32",         // Oracle Cloud Classic
		"fd00:c1::a9fe:a9fe/128", // Oracle Cloud: the endpoint in oci-python-sdk's instance principals
		"fd20:ce::254/128",       // Google Cloud: docs.cloud.google.com/compute/docs/metadata/querying-metadata
		"fd00:42::42/128",        // Scaleway: docs.cloud-init.io, datasource Scaleway
		"fd00:a9fe:a9fe::1/128",  // Akamai: techdocs.akamai.com/cloud-computing/docs/metadata-service-api
		// AWS, for what a machine itself offers: 254 is the metadata service
		// (docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html),
		// 23 the EKS Pod Identity Agent
		// (docs.aws.amazon.com/eks/latest/userguide/pod-id-agent-setup.html).
		"fd00:ec2::/32",
	)
	thisNetwork = netip.MustParsePrefix("0.0.0.0/8")
	broadcast   = netip.MustParseAddr("255.255.255.255")
)

func prefixes(texts ...string) []netip.Prefix {
	parsed := make([]netip.Prefix, 0, len(texts))
	for _, text := range texts {
		parsed = append(parsed, netip.MustParsePrefix(text))
	}
	return parsed
}

// ClassifyAddress returns the class of an address, in whatever form it is. An
// IPv6 address that carries an IPv4 address belongs to the class of that one,
// too.
func ClassifyAddress(address netip.Addr) AddressClass {
	address = address.WithZone("").Unmap()
	if class := classify(address); class != AddressNone {
		return class
	}
	readings := embedded(address)
	leadNowhere := len(readings) > 0
	for _, inner := range readings {
		class := classify(inner)
		if class != AddressNone && class != AddressUnspecified {
			return class
		}
		leadNowhere = leadNowhere && class == AddressUnspecified
	}
	// Where there are several readings, those at the wrong place are mostly of
	// zeros.
	if leadNowhere {
		return AddressUnspecified
	}
	return AddressNone
}

func classify(address netip.Addr) AddressClass {
	for _, service := range metadataServices {
		if service.Contains(address) {
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

// NamesLoopback reports whether a URL itself says that it is on this machine.
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
	return fmt.Sprintf("forbidden address of the sink: %s", e.class)
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
