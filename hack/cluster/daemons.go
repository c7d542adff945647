/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// etcdURL is reachable only within the namespace, and there only from the
// node: a pod's own loopback is another one.
const etcdURL = "http://127.0.0.1:2379"

// registryDaemon serves images to the machine's ko and to containerd.
func registryDaemon(s settings) daemon {
	return daemon{name: "registry", arguments: []string{
		s.debian("usr", "bin", "docker-registry"), "serve", s.config("registry.yaml"),
	}}
}

// daemons is all of them, in the order in which they start.
func daemons(s settings) []daemon {
	return slices.Concat([]daemon{residentDaemon(s), registryDaemon(s), runtimeDaemon(s)}, controlPlane(s), nodeDaemons(s))
}

// controlPlane is etcd and the API server.
func controlPlane(s settings) []daemon {
	return []daemon{
		{name: "etcd", arguments: []string{
			s.bin("etcd"),
			"--data-dir=" + s.data("etcd"),
			"--listen-client-urls=" + etcdURL, "--advertise-client-urls=" + etcdURL,
			"--listen-peer-urls=http://127.0.0.1:2380", "--initial-advertise-peer-urls=http://127.0.0.1:2380",
			"--initial-cluster=default=http://127.0.0.1:2380",
			// Nobody mourns a throw-away cluster whose machine lost power.
			"--unsafe-no-fsync",
			"--log-level=warn",
		}},
		{name: "kube-apiserver", arguments: []string{
			s.bin("kube-apiserver"),
			"--etcd-servers=" + etcdURL,
			"--advertise-address=" + nodeAddress,
			fmt.Sprintf("--secure-port=%d", apiPort),
			"--service-cluster-ip-range=" + serviceRange,
			"--authorization-mode=Node,RBAC",
			"--allow-privileged=true",
			"--client-ca-file=" + s.certificate("ca"),
			"--tls-cert-file=" + s.certificate("apiserver"), "--tls-private-key-file=" + s.key("apiserver"),
			"--kubelet-certificate-authority=" + s.certificate("ca"),
			"--kubelet-client-certificate=" + s.certificate("apiserver-kubelet-client"),
			"--kubelet-client-key=" + s.key("apiserver-kubelet-client"),
			// The node's name resolves nowhere.
			"--kubelet-preferred-address-types=InternalIP",
			"--requestheader-client-ca-file=" + s.certificate("ca"),
			// One authority signs all: without this any client could pose as
			// the front proxy.
			"--requestheader-allowed-names=front-proxy-client",
			"--requestheader-username-headers=X-Remote-User",
			"--requestheader-group-headers=X-Remote-Group",
			"--requestheader-extra-headers-prefix=X-Remote-Extra-",
			"--proxy-client-cert-file=" + s.certificate("front-proxy-client"),
			"--proxy-client-key-file=" + s.key("front-proxy-client"),
			"--service-account-issuer=https://kubernetes.default.svc." + clusterDomain,
			"--service-account-key-file=" + s.key("service-account"),
			"--service-account-signing-key-file=" + s.key("service-account"),
			"--profiling=false",
		}},
	}
}

// runtimeDaemon is what the kubelet has its containers run by. It must respond
// before the kubelet starts, which gives up at once otherwise.
func runtimeDaemon(s settings) daemon {
	return daemon{name: "containerd", arguments: []string{
		s.debian("usr", "bin", "containerd"), "--config=" + s.config("containerd.toml"), "--log-level=warn",
	}}
}

// nodeDaemons is what needs an API server and a container runtime.
func nodeDaemons(s settings) []daemon {
	return []daemon{
		{name: "kube-controller-manager", arguments: []string{
			s.bin("kube-controller-manager"),
			"--kubeconfig=" + s.kubeconfig("controller-manager"),
			"--use-service-account-credentials=true",
			"--service-account-private-key-file=" + s.key("service-account"),
			"--root-ca-file=" + s.certificate("ca"),
			"--cluster-signing-cert-file=" + s.certificate("ca"), "--cluster-signing-key-file=" + s.key("ca"),
			"--leader-elect=false",
			"--bind-address=127.0.0.1",
			"--profiling=false",
		}},
		{name: "kube-scheduler", arguments: []string{
			s.bin("kube-scheduler"),
			"--kubeconfig=" + s.kubeconfig("scheduler"),
			"--leader-elect=false",
			"--bind-address=127.0.0.1",
			"--profiling=false",
		}},
		{name: "kube-proxy", arguments: []string{
			s.bin("kube-proxy"), "--config=" + s.config("proxy.yaml"),
		}},
		{name: "kubelet", arguments: []string{
			s.bin("kubelet"),
			"--config=" + s.config("kubelet.yaml"),
			"--kubeconfig=" + s.kubeconfig("kubelet"),
			"--root-dir=" + s.data("kubelet"),
			"--hostname-override=" + s.Name,
			"--node-ip=" + nodeAddress,
		}},
		{name: "coredns", arguments: []string{
			s.bin("coredns"), "-conf", s.config("Corefile"),
		}},
		{name: "traefik",
			arguments:   []string{s.bin("traefik"), "--configFile=" + s.config("traefik.yaml")},
			environment: []string{"KUBECONFIG=" + s.kubeconfig("traefik")},
		},
	}
}

// settingsOf is a hash of what makes a daemon's behaviour: its arguments and
// environment, the build of its program, and the configurations that its
// arguments name. One that started with others has to be started anew.
func settingsOf(d daemon, build string, configuration map[string][]byte) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%q %q %q\n", d.arguments, d.environment, build)
	for _, name := range slices.Sorted(maps.Keys(configuration)) {
		if slices.ContainsFunc(d.arguments, func(argument string) bool { return strings.HasSuffix(argument, "/"+name) }) {
			fmt.Fprintf(&b, "%q %q\n", name, configuration[name])
		}
	}
	return hashText(b.String())
}
