/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Plot draws charts of test/performance as SVG. It is a module of its own, so
// that nothing else depends on the drawing library.
//
//	go run . -from=charts.json -to=DIR
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"image/color"
	"os"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// chart, row and bar are those of test/performance/report.
type chart struct {
	Name, Title, Axis string
	Series            []string
	Rows              []row
	Reference         float64
}

type row struct {
	Label string
	Bars  []bar
}

type bar struct {
	Series            int
	Median, Low, High float64
	Goal              float64
}

func main() {
	from := flag.String("from", "", "the file with the charts")
	to := flag.String("to", "", "the directory for the pictures")
	flag.Parse()
	if err := run(*from, *to); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("reading charts: %w", err)
	}
	var charts []chart
	if err := json.Unmarshal(content, &charts); err != nil {
		return fmt.Errorf("reading charts: %w", err)
	}
	for _, c := range charts {
		if err := c.draw(filepath.Join(to, c.Name+".svg")); err != nil {
			return fmt.Errorf("drawing %s: %w", c.Name, err)
		}
	}
	return nil
}

const (
	width     = 8 * vg.Inch
	rowHeight = vg.Inch / 2
	around    = vg.Inch
	margin    = vg.Inch / 8
	// legendRows is how many rows the legend takes.
	legendRows = 2
	// filled is the share of a row's height that has bars.
	filled = 0.8
	// mostShown bounds the axis: one round in a hundred may be far out.
	mostShown = 6
)

var (
	colours = []color.Color{
		color.RGBA{0x4c, 0x78, 0xa8, 0xff}, color.RGBA{0xf5, 0x85, 0x18, 0xff}, color.RGBA{0x88, 0x88, 0x88, 0xff},
	}
	goalColour = color.RGBA{0xd6, 0x27, 0x28, 0xff}
)

// draw writes a chart as SVG, with the first row on top.
func (c chart) draw(path string) error {
	p := plot.New()
	p.Title.Text, p.X.Label.Text = c.Title, c.Axis
	p.BackgroundColor = color.White
	p.Legend.Padding, p.Legend.XOffs = vg.Points(2), -margin
	p.X.Min = 0

	labels := make([]string, len(c.Rows))
	used := make(map[int]bool)
	farthest, anyGoal := 0.0, false
	for i, r := range c.Rows {
		place := len(c.Rows) - 1 - i
		labels[place] = r.Label
		height := filled / float64(len(c.Series))
		for _, b := range r.Bars {
			middle := float64(place) + filled/2 - height*(float64(b.Series)+0.5)
			box, err := rectangle(b.Median, middle, height)
			if err != nil {
				return err
			}
			box.Color = colours[b.Series%len(colours)]
			p.Add(box)
			if !used[b.Series] {
				used[b.Series] = true
				p.Legend.Add(c.Series[b.Series], box)
			}
			if err := addLine(p, color.Black, 1, plotter.XYs{{X: b.Low, Y: middle}, {X: b.High, Y: middle}}); err != nil {
				return err
			}
			if b.Goal > 0 {
				anyGoal = true
				if err := addLine(p, goalColour, 3, plotter.XYs{{X: b.Goal, Y: middle - height/2}, {X: b.Goal, Y: middle + height/2}}); err != nil {
					return err
				}
			}
			farthest = max(farthest, b.Median*1.2, b.High, b.Goal*1.2)
		}
	}
	if err := addLine(p, color.Gray{0x99}, 1, plotter.XYs{{X: c.Reference, Y: -0.5}, {X: c.Reference, Y: float64(len(c.Rows)) - 0.5}}); err != nil {
		return err
	}
	if anyGoal {
		sample, err := plotter.NewLine(plotter.XYs{{}, {}})
		if err != nil {
			return err
		}
		sample.Color, sample.Width = goalColour, vg.Points(3)
		p.Legend.Add("goal", sample)
	}
	p.NominalY(labels...)
	p.X.Max = min(farthest, mostShown)
	// The legend is under the rows.
	p.Y.Min, p.Y.Max = -0.5-legendRows, float64(len(c.Rows))-0.5
	return save(p, around+rowHeight*vg.Length(len(c.Rows)+legendRows), path)
}

// save writes a plot with a margin around it: labels would touch the edges.
func save(p *plot.Plot, height vg.Length, path string) error {
	canvas := vgsvg.New(width, height)
	p.Draw(draw.Crop(draw.New(canvas), margin, -margin, margin, -margin))
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := canvas.WriteTo(file); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}

// rectangle is a bar from 0 to a value.
func rectangle(value, middle, height float64) (*plotter.Polygon, error) {
	low, high := middle-height/2, middle+height/2
	box, err := plotter.NewPolygon(plotter.XYs{{X: 0, Y: low}, {X: min(value, mostShown), Y: low}, {X: min(value, mostShown), Y: high}, {X: 0, Y: high}})
	if err != nil {
		return nil, err
	}
	box.LineStyle.Width = 0
	return box, nil
}

func addLine(p *plot.Plot, c color.Color, points float64, between plotter.XYs) error {
	for i := range between {
		between[i].X = min(between[i].X, mostShown)
	}
	line, err := plotter.NewLine(between)
	if err != nil {
		return err
	}
	line.Color, line.Width = c, vg.Points(points)
	p.Add(line)
	return nil
}
