/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestAChartBecomesAPicture(t *testing.T) {
	directory := t.TempDir()
	charts := filepath.Join(directory, "charts.json")
	if err := os.WriteFile(charts, []byte(`[{"name":"cpu","title":"CPU time","axis":"ratio","series":["1 KB","64 KB"],"reference":1,
		"rows":[{"label":"nothing logged","bars":[{"series":0,"median":1.1,"low":1,"high":1.2,"goal":1}]},
		{"label":"all","bars":[{"series":0,"median":2,"low":1.9,"high":2.2},{"series":1,"median":1.5,"low":1.4,"high":40}]}]}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(charts, directory); err != nil {
		t.Fatal(err)
	}
	picture, err := os.ReadFile(filepath.Join(directory, "cpu.svg"))
	if err != nil {
		t.Fatal(err)
	}
	for _, label := range []string{"CPU time", "nothing logged", "64 KB", "goal"} {
		if !bytes.Contains(picture, []byte(label)) {
			t.Errorf("the picture lacks %q", label)
		}
	}
	for decoder := xml.NewDecoder(bytes.NewReader(picture)); ; {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal("the picture is no XML:", err)
		}
	}
}

func TestInvalidChartIsAnError(t *testing.T) {
	charts := filepath.Join(t.TempDir(), "charts.json")
	if err := os.WriteFile(charts, []byte(`{}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if run(charts, t.TempDir()) == nil {
		t.Error("it is taken")
	}
}
