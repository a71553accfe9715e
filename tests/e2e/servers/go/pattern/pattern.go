// Package pattern: what the servers in Go answer with (servers.py has the table), and what is done to each of them first.
package pattern

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"
)

// Lines is the pattern's first n bytes. Many lines at a time: one by one they would take longer than the server's start.
func Lines(n int) []byte {
	b := make([]byte, 0, n+16*4096)
	ends := make([]string, 4097)
	for i := range ends[1:] {
		ends[i+1] = fmt.Sprintf("%03x\n", i)
	}
	for i := 0; len(b) < n; i++ {
		begin := fmt.Sprintf("%012x", i)
		b = append(b, strings.Join(ends, begin)...)
	}
	return b[:n]
}

var Small, Big = Lines(64), Lines(8 << 20)

// Stream is 1600 bytes, in the pieces in which they are sent.
var Stream = pieces(Lines(1600), 160)

func pieces(b []byte, size int) (all [][]byte) {
	for ; len(b) > 0; b = b[size:] {
		all = append(all, b[:size])
	}
	return all
}

// File is 1 MiB, to be opened anew by its name in /proc.
var File *os.File

// SendFile opens it.
func SendFile() *os.File {
	f, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", File.Fd()))
	if err != nil {
		panic(err)
	}
	return f
}

func init() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(20) // the collector at work while we are at ours
	}
	f, err := os.CreateTemp("", "lastcall-e2e-go")
	if err != nil {
		panic(err)
	}
	File = f
	f.Write(Lines(1 << 20))
	os.Remove(f.Name())
}
