// Go's net/http with nothing around it: nethttp PORT HOST [shutdown [ignore]]. With shutdown: its own, on TERM; with ignore: it
// ignores INT, from when it listens, and sends itself one on TERM.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const chunks = 10

func lines(n int) []byte { // many at a time: one by one they would take longer than the server's start
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

var small, stream, big = lines(64), lines(1600), lines(8 << 20)
var kept *os.File // opened anew by its name in /proc

func send(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body)
}

func wait(r *http.Request, parts int) {
	ms, _ := strconv.Atoi(r.URL.Query().Get("ms"))
	time.Sleep(time.Duration(ms) * time.Millisecond / time.Duration(parts))
}

func headPieces(w http.ResponseWriter) { // net/http joins a head in one write; Flush at least parts it from the body
	w.Header().Set("Content-Length", strconv.Itoa(len(small)))
	w.(http.Flusher).Flush()
	time.Sleep(60 * time.Millisecond)
	w.Write(small)
}

func sendFile(w http.ResponseWriter) {
	f, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", kept.Fd()))
	if err != nil {
		panic(err)
	}
	defer f.Close()
	w.Header().Set("Content-Length", strconv.Itoa(1<<20))
	io.Copy(w, f)
}

// After this every byte comes back as it is.
func upgrade(w http.ResponseWriter) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	io.Copy(c, c)
	c.Close()
}

func answer(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/":
		send(w, 200, small)
	case "/sleep":
		wait(r, 1)
		send(w, 200, small)
	case "/big":
		send(w, 200, big)
	case "/early":
		w.Header().Set("Connection", "close")
		send(w, 413, small)
	case "/status/204":
		w.WriteHeader(204)
	case "/status/304":
		w.Header().Set("ETag", `"e2e"`)
		w.WriteHeader(304)
	case "/close-tokens":
		w.Header().Set("Connection", "keep-alive, foo")
		send(w, 200, small)
	case "/head-pieces":
		headPieces(w)
	case "/stream":
		for i := 0; i < chunks; i++ {
			w.Write(stream[i*len(stream)/chunks : (i+1)*len(stream)/chunks])
			w.(http.Flusher).Flush()
			wait(r, chunks)
		}
	case "/sendfile":
		sendFile(w)
	case "/upload":
		n, _ := io.Copy(io.Discard, r.Body)
		send(w, 200, []byte(fmt.Sprintf("%d\n", n)))
	case "/upgrade":
		upgrade(w)
	default:
		send(w, 404, small)
	}
}

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(20) // the collector at work while we are at ours
	}
	f, err := os.CreateTemp("", "lastcall-e2e-go")
	if err != nil {
		panic(err)
	}
	kept = f
	f.Write(lines(1 << 20))
	os.Remove(f.Name())
	server := &http.Server{Handler: http.HandlerFunc(answer)}
	l, err := net.Listen("tcp", net.JoinHostPort(os.Args[2], os.Args[1]))
	if err != nil {
		panic(err)
	}
	if len(os.Args) > 3 {
		done := make(chan os.Signal, 1)
		signal.Notify(done, syscall.SIGTERM)
		if len(os.Args) > 4 {
			signal.Ignore(syscall.SIGINT)
		}
		go server.Serve(l)
		<-done
		if len(os.Args) > 4 {
			syscall.Kill(os.Getpid(), syscall.SIGINT)
			time.Sleep(50 * time.Millisecond)
		}
		server.Shutdown(context.Background())
		return
	}
	panic(server.Serve(l))
}
