/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"archive/tar"
	"bytes"
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// The two images that everything stands on are made here, since no registry
// may be reachable: the base of all Go images, which has just a user and a
// /tmp, and the pause image, which holds a pod's namespaces (catatonit, as
// Podman uses it for that).

// nobody is numeric, or the kubelet can't tell that it isn't root.
const nobody = "65532"

// layer is a tar archive of files and folders (names ending in "/").
func layer(contents []tarFile) ([]byte, error) {
	var out bytes.Buffer
	archive := tar.NewWriter(&out)
	for _, file := range contents {
		header := &tar.Header{Name: file.name, Mode: file.mode, Size: int64(len(file.data)), Typeflag: tar.TypeReg}
		if strings.HasSuffix(file.name, "/") {
			header.Typeflag = tar.TypeDir
		}
		if err := archive.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := archive.Write(file.data); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), archive.Close()
}

type tarFile struct {
	name string
	mode int64
	data []byte
}

func baseFiles() []tarFile {
	return []tarFile{
		{name: "etc/", mode: 0o755},
		{name: "etc/passwd", mode: 0o644, data: []byte("root:x:0:0:root:/:/none\nnonroot:x:" + nobody + ":" + nobody + ":nonroot:/tmp:/none\n")},
		{name: "etc/group", mode: 0o644, data: []byte("root:x:0:\nnonroot:x:" + nobody + ":\n")},
		{name: "tmp/", mode: 0o1777},
	}
}

// pushImages pushes both. The registry keeps them, so it is done once.
func pushImages(ctx context.Context, s settings) error {
	stamp := s.repository() + " " + runtime.GOARCH
	if stampHolds(s.layout, "images", stamp) {
		return nil
	}
	pause, err := os.ReadFile(s.debian("usr", "bin", "catatonit"))
	if err != nil {
		return err
	}
	if err := pushImage(ctx, s, s.baseImage(), baseFiles(), "--user="+nobody); err != nil {
		return err
	}
	if err := pushImage(ctx, s, s.pauseImage(), []tarFile{{name: "pause", mode: 0o755, data: pause}}, "--entrypoint=/pause,-P"); err != nil {
		return err
	}
	return writeFile(filepath.Join(s.stamps(), "images"), []byte(stamp+"\n"), 0o644)
}

// pushImage makes an image of one layer and sets its configuration.
func pushImage(ctx context.Context, s settings, name string, contents []tarFile, configuration ...string) error {
	data, err := layer(contents)
	if err != nil {
		return err
	}
	archive := s.sources(filepath.Base(strings.TrimSuffix(name, ":latest")) + ".tar")
	if err := writeFile(archive, data, 0o644); err != nil {
		return err
	}
	crane := func(arguments ...string) error {
		_, err := command{log: s.log("images"), arguments: append([]string{s.bin("crane")}, arguments...)}.run(ctx)
		return err
	}
	if err := crane("append", "--new_layer="+archive, "--new_tag="+name); err != nil {
		return err
	}
	return crane(append([]string{"mutate", name, "--tag=" + name, "--set-platform=linux/" + runtime.GOARCH}, configuration...)...)
}
