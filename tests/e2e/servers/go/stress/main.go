// stress: one process talks to itself over many connections, with everything that Go does to a thread at the same time: the
// collector, growing stacks, preemption, a profiler at 1 kHz, children. stress CALLS CONNECTIONS
// It prints the number of calls that we have seen made, and ends with 0 if every byte was the right one.
package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/pprof"
	"strconv"
	"sync"
	"sync/atomic"
)

var sink atomic.Value

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// A stack that grows, and is copied, while calls are made.
func deep(n int, f func()) byte {
	var room [512]byte
	room[n%512] = byte(n)
	if n == 0 {
		f()
		return room[0]
	}
	return deep(n-1, f) + room[n%512]
}

func serve(c net.Conn) {
	buf := make([]byte, 64)
	for {
		if _, err := io.ReadFull(c, buf); err != nil {
			c.Close()
			return
		}
		sink.Store(append([]byte(nil), buf...)) // something for the collector
		_, err := c.Write(buf)
		must(err)
	}
}

func talk(address string, rounds, number int) {
	c, err := net.Dial("tcp", address)
	must(err)
	defer c.Close()
	out, in := make([]byte, 64), make([]byte, 64)
	for i := 0; i < rounds; i++ {
		exchange := func() {
			binary.LittleEndian.PutUint64(out, uint64(number)<<32|uint64(i))
			_, err := c.Write(out)
			must(err)
			_, err = io.ReadFull(c, in)
			must(err)
			if !bytes.Equal(in, out) {
				panic("other bytes came back")
			}
		}
		if i%64 == 0 {
			deep(i%200, exchange)
		} else {
			exchange()
		}
	}
}

func children(stop *atomic.Bool) {
	for !stop.Load() {
		must(exec.Command("/bin/true").Run())
	}
}

func main() {
	calls, _ := strconv.Atoi(os.Args[1])
	connections, _ := strconv.Atoi(os.Args[2])
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	if os.Getenv("STRESS_PROFILE") != "" {
		runtime.SetCPUProfileRate(1000)
		must(pprof.StartCPUProfile(io.Discard)) // keeps the rate, and says so
	}
	go func() {
		for {
			c, err := l.Accept()
			must(err)
			go serve(c)
		}
	}()
	var stop atomic.Bool
	go children(&stop)
	var all sync.WaitGroup
	rounds := calls / 2 / connections // a read and a write of the server's each
	for i := 0; i < connections; i++ {
		all.Add(1)
		go func(i int) {
			talk(l.Addr().String(), rounds, i)
			all.Done()
		}(i)
	}
	all.Wait()
	stop.Store(true)
	pprof.StopCPUProfile()
	fmt.Printf("calls=%d\n", rounds*connections*2)
	if os.Getenv("STRESS_WAIT") != "" { // until somebody has looked at us
		io.Copy(io.Discard, os.Stdin)
	}
}
