/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package spool

// Filesystem is the one directory that a Log keeps its files in. Names have no
// separator. An error of any method may leave the operation done, undone, or
// done in part.
type Filesystem interface {
	// List returns every file of the directory, in any order.
	List() ([]FileInfo, error)
	// Create makes a file for reading and writing, and fails where it exists.
	Create(name string) (File, error)
	// Open opens an existing file for reading, and for writing too if asked.
	Open(name string, write bool) (File, error)
	// Truncate cuts a file to size bytes.
	Truncate(name string, size int64) error
	// Remove deletes a file.
	Remove(name string) error
	// SyncDirectory makes what Create and Remove did survive a loss of power.
	SyncDirectory() error
}

// File is an open file of a Filesystem.
type File interface {
	// ReadAt is as io.ReaderAt has it.
	ReadAt(p []byte, offset int64) (int, error)
	// WriteAt is as io.WriterAt has it. What it wrote survives the process.
	WriteAt(p []byte, offset int64) (int, error)
	// Sync makes the file's bytes and its size survive a loss of power.
	Sync() error
	Close() error
}

// FileInfo is what a Log needs to know of a file that it didn't make.
type FileInfo struct {
	Name string
	// Size is the file's length in bytes.
	Size int64
}
