/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package spool

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"syscall"
)

const sectorBytes = 512

// operation is a call that changes a memoryFilesystem.
type operation struct {
	index int
	kind  operationKind
	name  string
	bytes int
}

type operationKind string

const (
	opCreate        operationKind = "create"
	opWrite         operationKind = "write"
	opSync          operationKind = "sync"
	opTruncate      operationKind = "truncate"
	opRemove        operationKind = "remove"
	opSyncDirectory operationKind = "sync the directory"
)

// crash is what an operation panics with at the point of a crash.
type crash struct{ at operation }

// memoryFilesystem keeps what the operating system has, which is all that a
// process did, beside what the disk has for certain.
type memoryFilesystem struct {
	entries, durableEntries map[string]*inode
	// journal are the changes of entries that were not synced.
	journal []directoryChange
	inodes  []*inode

	operations int
	// writes are the indexes of the operations that write.
	writes map[int]bool
	// crashAt is the operation that doesn't happen any more; of a write the
	// first crashBytes do.
	crashAt    int
	crashBytes func(total int) int
	// fault makes an operation fail.
	fault func(operation) error
	// readFault makes a read fail, and damage changes what it gives.
	readFault func(name string, offset int64) error
	damage    func(name string, offset int64, p []byte)
	// capacity bounds the bytes of all files: 0 for no bound.
	capacity int64

	// limit is never to be exceeded, and exceeded says by how much it was.
	limit, exceeded int64

	// The following break the filesystem's promises.
	skipSync, skipSyncDirectory, forgetSizes, delayWrites, trySyncAgain bool

	delayed func()
}

type inode struct {
	cache, durable []byte
	// dirty are the pages that were not synced.
	dirty map[int]bool
	// sizeDirty says that the size was not.
	sizeDirty bool
	linked    bool
	handles   int
}

type directoryChange struct {
	name string
	// inode is nil for a removal.
	inode *inode
}

func newMemoryFilesystem() *memoryFilesystem {
	return &memoryFilesystem{entries: map[string]*inode{}, durableEntries: map[string]*inode{}, writes: map[int]bool{}}
}

// begin counts an operation, and lets it crash or fail.
func (m *memoryFilesystem) begin(kind operationKind, name string, bytes int) error {
	m.operations++
	m.writes[m.operations] = kind == opWrite
	op := operation{index: m.operations, kind: kind, name: name, bytes: bytes}
	if m.operations == m.crashAt && kind != opWrite {
		panic(crash{op})
	}
	if m.delayed != nil {
		m.delayed()
		m.delayed = nil
	}
	if m.fault != nil {
		return m.fault(op)
	}
	return nil
}

// measure compares what all files take with the limit: also those that were
// removed while somebody had them open.
func (m *memoryFilesystem) measure() {
	bytes := int64(directoryBytes)
	for _, node := range m.inodes {
		if node.linked || node.handles > 0 {
			bytes += int64(len(node.cache)+pageBytes-1) / pageBytes * pageBytes
		}
	}
	if m.limit > 0 {
		m.exceeded = max(m.exceeded, bytes-m.limit)
	}
}

func (m *memoryFilesystem) used() int64 {
	bytes := int64(0)
	for _, node := range m.entries {
		bytes += int64(len(node.cache))
	}
	return bytes
}

func (m *memoryFilesystem) List() ([]FileInfo, error) {
	var files []FileInfo
	for _, name := range slices.Sorted(maps.Keys(m.entries)) {
		file := FileInfo{Name: name, Size: int64(len(m.entries[name].cache))}
		if m.forgetSizes {
			file.Size = min(file.Size, 1)
		}
		files = append(files, file)
	}
	return files, nil
}

func (m *memoryFilesystem) Create(name string) (File, error) {
	if err := m.begin(opCreate, name, 0); err != nil {
		return nil, err
	}
	if m.entries[name] != nil {
		return nil, fs.ErrExist
	}
	node := &inode{dirty: map[int]bool{}, linked: true}
	m.entries[name] = node
	m.inodes = append(m.inodes, node)
	m.journal = append(m.journal, directoryChange{name: name, inode: node})
	return m.handle(name, node, true), nil
}

func (m *memoryFilesystem) Open(name string, write bool) (File, error) {
	node := m.entries[name]
	if node == nil {
		return nil, fs.ErrNotExist
	}
	if m.readFault != nil {
		if err := m.readFault(name, -1); err != nil {
			return nil, err
		}
	}
	return m.handle(name, node, write), nil
}

func (m *memoryFilesystem) handle(name string, node *inode, write bool) File {
	node.handles++
	return &memoryFile{filesystem: m, name: name, inode: node, write: write}
}

func (m *memoryFilesystem) Truncate(name string, size int64) error {
	if err := m.begin(opTruncate, name, 0); err != nil {
		return err
	}
	node := m.entries[name]
	if node == nil {
		return fs.ErrNotExist
	}
	node.resize(int(size))
	m.measure()
	return nil
}

func (m *memoryFilesystem) Remove(name string) error {
	if err := m.begin(opRemove, name, 0); err != nil {
		return err
	}
	node := m.entries[name]
	if node == nil {
		return fs.ErrNotExist
	}
	node.linked = false
	delete(m.entries, name)
	m.journal = append(m.journal, directoryChange{name: name})
	m.measure()
	return nil
}

func (m *memoryFilesystem) SyncDirectory() error {
	if err := m.begin(opSyncDirectory, "", 0); err != nil {
		return err
	}
	if !m.skipSyncDirectory {
		m.durableEntries = maps.Clone(m.entries)
		m.journal = nil
	}
	return nil
}

func (n *inode) resize(size int) {
	if size != len(n.cache) {
		n.sizeDirty = true
	}
	if size < len(n.cache) {
		n.cache = n.cache[:size]
		return
	}
	n.cache = append(n.cache, make([]byte, size-len(n.cache))...)
}

func (n *inode) writeAt(p []byte, offset int64) {
	end := int(offset) + len(p)
	if end > len(n.cache) {
		n.resize(end)
	}
	copy(n.cache[offset:], p)
	for page := int(offset) / pageBytes; page*pageBytes < end; page++ {
		n.dirty[page] = true
	}
}

// memoryFile is an open file.
type memoryFile struct {
	filesystem *memoryFilesystem
	name       string
	inode      *inode
	write      bool
	closed     bool
}

func (f *memoryFile) ReadAt(p []byte, offset int64) (int, error) {
	if f.filesystem.readFault != nil {
		if err := f.filesystem.readFault(f.name, offset); err != nil {
			return 0, err
		}
	}
	if offset >= int64(len(f.inode.cache)) {
		return 0, io.EOF
	}
	n := copy(p, f.inode.cache[offset:])
	if f.filesystem.damage != nil {
		f.filesystem.damage(f.name, offset, p[:n])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memoryFile) WriteAt(p []byte, offset int64) (int, error) {
	m := f.filesystem
	if f.closed || !f.write {
		return 0, syscall.EBADF
	}
	err := m.begin(opWrite, f.name, len(p))
	if m.operations == m.crashAt {
		f.inode.writeAt(p[:m.crashBytes(len(p))], offset)
		panic(crash{operation{index: m.operations, kind: opWrite, name: f.name, bytes: len(p)}})
	}
	if err != nil {
		// As much as half may have been written.
		f.inode.writeAt(p[:len(p)/2], offset)
		m.measure()
		if errors.Is(err, errShortWrite) {
			return len(p) / 2, nil
		}
		return len(p) / 2, err
	}
	if m.capacity > 0 {
		if free := m.capacity - m.used(); int64(len(p)) > free {
			written := max(0, free)
			f.inode.writeAt(p[:written], offset)
			return int(written), syscall.ENOSPC
		}
	}
	if m.delayWrites {
		late := slices.Clone(p)
		m.delayed = func() { f.inode.writeAt(late, offset) }
		return len(p), nil
	}
	f.inode.writeAt(p, offset)
	m.measure()
	return len(p), nil
}

func (f *memoryFile) Sync() error {
	if err := f.filesystem.begin(opSync, f.name, 0); err != nil {
		// The operating system gives up on the pages, and takes them for
		// clean from now on.
		clear(f.inode.dirty)
		f.inode.sizeDirty = false
		if f.filesystem.trySyncAgain {
			return nil
		}
		return err
	}
	if f.filesystem.skipSync {
		return nil
	}
	node := f.inode
	durable := make([]byte, len(node.cache))
	copy(durable, node.durable)
	for page := range node.dirty {
		from := min(page*pageBytes, len(node.cache))
		to := min(from+pageBytes, len(node.cache))
		copy(durable[from:to], node.cache[from:to])
	}
	clear(node.dirty)
	node.sizeDirty = false
	node.durable = durable
	return nil
}

func (f *memoryFile) Close() error {
	if f.closed {
		return syscall.EBADF
	}
	f.closed = true
	f.inode.handles--
	f.filesystem.measure()
	return nil
}

// afterKill is the filesystem that the next process finds after a SIGKILL:
// whatever reached the operating system is there.
func (m *memoryFilesystem) afterKill() *memoryFilesystem {
	after := newMemoryFilesystem()
	copies := map[*inode]*inode{}
	copied := func(node *inode) *inode {
		if copies[node] == nil {
			copies[node] = &inode{
				cache: slices.Clone(node.cache), durable: slices.Clone(node.durable),
				dirty: maps.Clone(node.dirty), sizeDirty: node.sizeDirty, linked: node.linked,
			}
		}
		return copies[node]
	}
	for name, node := range m.entries {
		after.entries[name] = copied(node)
		after.inodes = append(after.inodes, copied(node))
	}
	for name, node := range m.durableEntries {
		after.durableEntries[name] = copied(node)
	}
	for _, change := range m.journal {
		if change.inode != nil {
			change.inode = copied(change.inode)
		}
		after.journal = append(after.journal, change)
	}
	after.inherit(m)
	return after
}

func (m *memoryFilesystem) inherit(before *memoryFilesystem) {
	m.limit = before.limit
	m.skipSync, m.skipSyncDirectory = before.skipSync, before.skipSyncDirectory
	m.forgetSizes, m.delayWrites = before.forgetSizes, before.delayWrites
}

// kept reports whether one unsynced change survives a loss of power.
type kept func() bool

func keptNothing() bool    { return false }
func keptEverything() bool { return true }

// afterPowerLoss is the filesystem that the next process finds after a loss of
// power: what was synced, and of the rest what kept says, in sectors.
func (m *memoryFilesystem) afterPowerLoss(keep kept) *memoryFilesystem {
	after := newMemoryFilesystem()
	entries := maps.Clone(m.durableEntries)
	for _, change := range m.journal {
		switch {
		case !keep():
		case change.inode == nil:
			delete(entries, change.name)
		default:
			entries[change.name] = change.inode
		}
	}
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		content := entries[name].afterPowerLoss(keep)
		node := &inode{cache: content, durable: slices.Clone(content), dirty: map[int]bool{}, linked: true}
		after.entries[name] = node
		after.inodes = append(after.inodes, node)
	}
	after.durableEntries = maps.Clone(after.entries)
	after.inherit(m)
	return after
}

func (n *inode) afterPowerLoss(keep kept) []byte {
	content := slices.Clone(n.durable)
	if n.sizeDirty && keep() {
		content = slices.Clone(content[:min(len(content), len(n.cache))])
		content = append(content, make([]byte, len(n.cache)-len(content))...)
	}
	for _, page := range slices.Sorted(maps.Keys(n.dirty)) {
		for sector := page * pageBytes; sector < (page+1)*pageBytes; sector += sectorBytes {
			from, to := sector, min(sector+sectorBytes, len(content), len(n.cache))
			if from < to && keep() {
				copy(content[from:to], n.cache[from:to])
			}
		}
	}
	return content
}

// keptAtRandom keeps a share of the changes.
func keptAtRandom(random *rand.Rand) kept {
	share := random.Float64()
	return func() bool { return random.Float64() < share }
}

func (m *memoryFilesystem) openFiles() (handles int) {
	for _, node := range m.inodes {
		handles += node.handles
	}
	return handles
}
