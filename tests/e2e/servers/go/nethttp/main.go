// Go's net/http with nothing around it: nethttp PORT HOST [shutdown [ignore]] or [tls CERTIFICATE KEY]. With shutdown: its own, on TERM; with ignore: it
// ignores INT, from when it listens, and sends itself one on TERM.
package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"../pattern"
)

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
	w.Header().Set("Content-Length", strconv.Itoa(len(pattern.Small)))
	w.(http.Flusher).Flush()
	time.Sleep(60 * time.Millisecond)
	w.Write(pattern.Small)
}

func sendFile(w http.ResponseWriter) {
	f := pattern.SendFile()
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
		send(w, 200, pattern.Small)
	case "/sleep":
		wait(r, 1)
		send(w, 200, pattern.Small)
	case "/big":
		send(w, 200, pattern.Big)
	case "/early":
		w.Header().Set("Connection", "close")
		send(w, 413, pattern.Small)
	case "/status/204":
		w.WriteHeader(204)
	case "/status/304":
		w.Header().Set("ETag", `"e2e"`)
		w.WriteHeader(304)
	case "/close-tokens":
		w.Header().Set("Connection", "keep-alive, foo")
		send(w, 200, pattern.Small)
	case "/head-pieces":
		headPieces(w)
	case "/stream":
		for _, chunk := range pattern.Stream {
			w.Write(chunk)
			w.(http.Flusher).Flush()
			wait(r, len(pattern.Stream))
		}
	case "/sendfile":
		sendFile(w)
	case "/upload":
		n, _ := io.Copy(io.Discard, r.Body)
		send(w, 200, []byte(fmt.Sprintf("%d\n", n)))
	case "/upgrade":
		upgrade(w)
	default:
		send(w, 404, pattern.Small)
	}
}

func main() {
	server := &http.Server{Handler: http.HandlerFunc(answer)}
	l, err := net.Listen("tcp", net.JoinHostPort(os.Args[2], os.Args[1]))
	if err != nil {
		panic(err)
	}
	if len(os.Args) > 3 && os.Args[3] == "tls" {
		server.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){} // HTTP/1.1 only
		panic(server.ServeTLS(l, os.Args[4], os.Args[5]))
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
