/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/sidenote-dev/sidenote/test/performance/report"
)

const (
	resultFile = "results.json"
	tableFile  = "results.md"
	chartFile  = "charts.json"
)

// document is what docs show of a run.
const document = "performance.md"

// write writes a run's figures, tables and plots into a directory.
func write(ctx context.Context, result *report.Result, judgements []report.Judgement, directory string) error {
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return fmt.Errorf("writing results: %w", err)
	}
	for name, content := range map[string]any{resultFile: result, chartFile: report.Charts(result)} {
		encoded, err := json.MarshalIndent(content, "", "  ")
		if err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(directory, name), append(encoded, '\n'), 0o644); err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
	}
	if err := os.WriteFile(filepath.Join(directory, tableFile), []byte(report.Markdown(result, judgements)), 0o644); err != nil {
		return fmt.Errorf("writing %s: %w", tableFile, err)
	}
	return draw(ctx, filepath.Join(directory, chartFile), directory)
}

// publish puts the plots and the table of goals into the documents' directory.
func publish(ctx context.Context, result *report.Result, judgements []report.Judgement, results, docs string) error {
	images := filepath.Join(docs, "images")
	if err := os.MkdirAll(images, 0o755); err != nil {
		return fmt.Errorf("writing images: %w", err)
	}
	if err := draw(ctx, filepath.Join(results, chartFile), images); err != nil {
		return err
	}
	path := filepath.Join(docs, document)
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading %s: %w", document, err)
	}
	inserted, err := report.Insert(string(content), report.Summary(result, judgements))
	if err != nil {
		return fmt.Errorf("writing %s: %w", document, err)
	}
	if err := os.WriteFile(path, []byte(inserted), 0o644); err != nil {
		return fmt.Errorf("writing %s: %w", document, err)
	}
	return nil
}

// draw has charts drawn by the program that has the drawing library: it is a
// module of its own, so that nobody else depends on that.
func draw(ctx context.Context, charts, directory string) error {
	charts, err := filepath.Abs(charts)
	if err != nil {
		return fmt.Errorf("drawing: %w", err)
	}
	if directory, err = filepath.Abs(directory); err != nil {
		return fmt.Errorf("drawing: %w", err)
	}
	source, err := sourceDirectory(ctx)
	if err != nil {
		return err
	}
	command := exec.CommandContext(ctx, "go", "run", ".", "-from="+charts, "-to="+directory)
	command.Dir = filepath.Join(source, "plot")
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("drawing: %w\n%s", err, output)
	}
	return nil
}

// sourceDirectory is that of this package.
func sourceDirectory(ctx context.Context) (string, error) {
	output, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", module+"test/performance").Output()
	if err != nil {
		return "", fmt.Errorf("looking for the source: %w", err)
	}
	return strings.TrimSpace(string(output)), nil
}

// readResult reads what an earlier run wrote.
func readResult(path string) (*report.Result, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading results: %w", err)
	}
	var result report.Result
	if err := json.Unmarshal(content, &result); err != nil {
		return nil, fmt.Errorf("reading results: %w", err)
	}
	return &result, nil
}
