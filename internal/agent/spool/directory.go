/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Directory is a Filesystem in a directory of the operating system. It locks
// the directory until Close or the end of the process.
type Directory struct {
	root *os.Root
	// handle is the directory, open for locking and syncing.
	handle *os.File
}

// OpenDirectory opens and locks a directory, and makes it where it is missing and
// its parent exists. It fails where another process has the lock.
func OpenDirectory(path string) (*Directory, error) {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("creating the spool's directory: %w", err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("opening the spool's directory: %w", err)
	}
	handle, err := root.Open(".")
	if err != nil {
		_ = root.Close()
		return nil, fmt.Errorf("opening the spool's directory: %w", err)
	}
	if err := lock(handle); err != nil {
		_, _ = handle.Close(), root.Close()
		return nil, fmt.Errorf("locking the spool's directory %s (another process may use it): %w", path, err)
	}
	return &Directory{root: root, handle: handle}, nil
}

// Close unlocks the directory. The Log on it must be closed first.
func (d *Directory) Close() error { return errors.Join(d.handle.Close(), d.root.Close()) }

// List implements Filesystem.
func (d *Directory) List() ([]FileInfo, error) {
	entries, err := fs.ReadDir(d.root.FS(), ".")
	if err != nil {
		return nil, err
	}
	files := make([]FileInfo, 0, len(entries))
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			return nil, err
		}
		files = append(files, FileInfo{Name: entry.Name(), Size: info.Size()})
	}
	return files, nil
}

// Create implements Filesystem.
func (d *Directory) Create(name string) (File, error) {
	return d.open(name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
}

// Open implements Filesystem.
func (d *Directory) Open(name string, write bool) (File, error) {
	if write {
		return d.open(name, os.O_RDWR)
	}
	return d.open(name, os.O_RDONLY)
}

func (d *Directory) open(name string, flag int) (File, error) {
	file, err := d.root.OpenFile(name, flag, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{file}, nil
}

// Truncate implements Filesystem.
func (d *Directory) Truncate(name string, size int64) error {
	file, err := d.root.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(file.Truncate(size), file.Close())
}

// Remove implements Filesystem.
func (d *Directory) Remove(name string) error { return d.root.Remove(name) }

// SyncDirectory implements Filesystem.
func (d *Directory) SyncDirectory() error { return d.handle.Sync() }

type osFile struct{ *os.File }

// Sync implements File.
func (f osFile) Sync() error { return syncData(f.File) }
