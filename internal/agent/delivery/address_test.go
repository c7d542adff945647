/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// TestMain finds goroutines that outlive the tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestClassifyAddress(t *testing.T) {
	for text, want := range map[string]AddressClass{
		"169.254.169.254":          AddressMetadata,
		"::ffff:169.254.169.254":   AddressMetadata,
		"64:ff9b::169.254.169.254": AddressMetadata,
		"fd00:ec2::254":            AddressMetadata,
		"100.100.100.200":          AddressMetadata,
		"168.63.129.16":            AddressMetadata,
		"169.254.0.1":              AddressLinkLocal,
		"169.254.255.255":          AddressLinkLocal,
		"::ffff:169.254.1.1":       AddressLinkLocal,
		"fe80::1":                  AddressLinkLocal,
		"fe80::1%eth0":             AddressLinkLocal,
		"febf::1":                  AddressLinkLocal,
		"127.0.0.1":                AddressLoopback,
		"127.255.1.2":              AddressLoopback,
		"::1":                      AddressLoopback,
		"::ffff:127.0.0.1":         AddressLoopback,
		"0.0.0.0":                  AddressUnspecified,
		"0.1.2.3":                  AddressUnspecified,
		"::":                       AddressUnspecified,
		"::ffff:0.0.0.0":           AddressUnspecified,
		"224.0.0.1":                AddressMulticast,
		"239.255.255.255":          AddressMulticast,
		"255.255.255.255":          AddressMulticast,
		"ff02::1":                  AddressMulticast,
		"10.0.0.1":                 AddressNone,
		"192.168.1.1":              AddressNone,
		"172.16.0.1":               AddressNone,
		"169.253.255.255":          AddressNone,
		"169.255.0.0":              AddressNone,
		"8.8.8.8":                  AddressNone,
		"fd00:ec2::23":             AddressMetadata,
		"fd00:ec2::253":            AddressMetadata,
		"fd00:ec3::254":            AddressNone,
		"fd20:ce::254":             AddressMetadata,
		"fd20:ce::253":             AddressNone,
		"fd00:100::100:200":        AddressMetadata,
		"fd00:c1::a9fe:a9fe":       AddressMetadata,
		"fd00:42::42":              AddressMetadata,
		"fd00:a9fe:a9fe::1":        AddressMetadata,
		"192.0.0.192":              AddressMetadata,
		"fec0::1":                  AddressNone,
		"2001:db8::1":              AddressNone,
	} {
		if got := ClassifyAddress(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s is %q, want %q", text, got, want)
		}
	}
}

// TestAnEmbeddedAddressIsJudged, in every form in which an IPv6 address carries
// an IPv4 address.
func TestAnEmbeddedAddressIsJudged(t *testing.T) {
	for inner, want := range map[string]AddressClass{
		"169.254.169.254": AddressMetadata,
		"100.100.100.200": AddressMetadata,
		"168.63.129.16":   AddressMetadata,
		"192.0.0.192":     AddressMetadata,
		"169.254.170.2":   AddressLinkLocal,
		"127.0.0.1":       AddressLoopback,
		"224.0.0.1":       AddressMulticast,
		"255.255.255.255": AddressMulticast,
		"0.0.0.0":         AddressUnspecified,
		"8.8.8.8":         AddressNone,
		"10.96.0.10":      AddressNone,
		"203.0.113.7":     AddressNone,
	} {
		b := netip.MustParseAddr(inner).As4()
		forms := map[string]string{
			"mapped":                     fmt.Sprintf("::ffff:%s", inner),
			"compatible":                 fmt.Sprintf("::%s", inner),
			"translated":                 fmt.Sprintf("::ffff:0:%s", inner),
			"NAT64":                      fmt.Sprintf("64:ff9b::%s", inner),
			"NAT64 for local use, of 96": fmt.Sprintf("64:ff9b:1::%s", inner),
			"the same with a subnet":     fmt.Sprintf("64:ff9b:1:0:7::%s", inner),
			"NAT64 for local use, of 48": fmt.Sprintf("64:ff9b:1:%02x%02x:%02x:%02x00::", b[0], b[1], b[2], b[3]),
			"NAT64 for local use, of 56": fmt.Sprintf("64:ff9b:1:%02x:%02x:%02x%02x::", b[0], b[1], b[2], b[3]),
			"NAT64 for local use, of 64": fmt.Sprintf("64:ff9b:1:0:%02x:%02x%02x:%02x00::", b[0], b[1], b[2], b[3]),
			"6to4":                       fmt.Sprintf("2002:%02x%02x:%02x%02x::1", b[0], b[1], b[2], b[3]),
			"Teredo's server":            fmt.Sprintf("2001:0:%02x%02x:%02x%02x:0:0:f7f7:f7f7", b[0], b[1], b[2], b[3]),
			"Teredo's client":            fmt.Sprintf("2001:0:808:808::%02x%02x:%02x%02x", ^b[0], ^b[1], ^b[2], ^b[3]),
			"ISATAP":                     fmt.Sprintf("2001:db8::5efe:%s", inner),
			"ISATAP of a public address": fmt.Sprintf("2001:db8::200:5efe:%s", inner),
		}
		for form, text := range forms {
			address := netip.MustParseAddr(text)
			if address == netip.IPv6Unspecified() {
				continue
			}
			got := ClassifyAddress(address)
			if inner == "0.0.0.0" && (strings.HasPrefix(form, "Teredo") || form == "the same with a subnet") {
				// The other place has an address that leads somewhere.
				continue
			}
			if got != want {
				t.Errorf("%s of %s, %s, is %q, want %q", form, inner, address, got, want)
			}
		}
	}
}

func TestNamesLoopback(t *testing.T) {
	for text, want := range map[string]bool{
		"http://localhost:8080": true, "http://LOCALHOST./": true, "http://a.localhost": true, "http://127.0.0.1:1": true, "http://127.9.9.9": true, "http://[::1]:80": true,
		"http://broker.ns.svc": false, "http://localhost.evil.example": false, "http://notlocalhost": false, "http://10.0.0.1": false, "http://0.0.0.0": false,
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := NamesLoopback(u); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

// TestDialChecksTheResolvedAddress, and nothing is sent before.
func TestDialChecksTheResolvedAddress(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	for _, test := range []struct {
		host  string
		allow bool
		want  AddressClass
	}{
		{"localhost", false, AddressLoopback},
		{"127.0.0.1", false, AddressLoopback},
		{"localhost", true, AddressNone},
		{"0.0.0.0", true, AddressUnspecified},
		{"::", true, AddressUnspecified},
		{"169.254.169.254", true, AddressMetadata},
		{"224.0.0.1", true, AddressMulticast},
	} {
		connection, err := guardedDial(test.allow)(context.Background(), "tcp", net.JoinHostPort(test.host, port))
		if err == nil {
			connection.Close()
		}
		var refusal *refusedAddressError
		switch {
		case test.want == AddressNone && err != nil:
			t.Errorf("%s, loopback %v: %v", test.host, test.allow, err)
		case test.want != AddressNone && (!errors.As(err, &refusal) || refusal.class != test.want):
			t.Errorf("%s, loopback %v: %v, want it refused as %s", test.host, test.allow, err, test.want)
		}
	}
}
