// fasthttp with nothing around it: fasthttp PORT HOST [shutdown | prefork]. With shutdown: its own, on TERM; with prefork: a
// process for each of GOMAXPROCS, which is this program once more.
package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/prefork"
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

func send(ctx *fasthttp.RequestCtx, status int, body []byte) {
	ctx.SetStatusCode(status)
	ctx.SetBody(body)
}

func wait(ctx *fasthttp.RequestCtx, parts int) {
	ms, _ := strconv.Atoi(string(ctx.QueryArgs().Peek("ms")))
	time.Sleep(time.Duration(ms) * time.Millisecond / time.Duration(parts))
}

func sendStream(ctx *fasthttp.RequestCtx) {
	ms, _ := strconv.Atoi(string(ctx.QueryArgs().Peek("ms")))
	ctx.SetBodyStreamWriter(func(w *bufio.Writer) {
		for i := 0; i < chunks; i++ {
			w.Write(stream[i*len(stream)/chunks : (i+1)*len(stream)/chunks])
			w.Flush()
			time.Sleep(time.Duration(ms) * time.Millisecond / chunks)
		}
	})
}

func sendFile(ctx *fasthttp.RequestCtx) {
	f, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", kept.Fd()))
	if err != nil {
		panic(err)
	}
	ctx.SetBodyStream(f, 1<<20)
}

// After this every byte comes back as it is.
func upgrade(ctx *fasthttp.RequestCtx) {
	ctx.HijackSetNoResponse(true)
	ctx.Hijack(func(c net.Conn) {
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		io.Copy(c, c)
	})
}

func answer(ctx *fasthttp.RequestCtx) {
	switch string(ctx.Path()) {
	case "/":
		send(ctx, 200, small)
	case "/sleep":
		wait(ctx, 1)
		send(ctx, 200, small)
	case "/big":
		send(ctx, 200, big)
	case "/status/204":
		ctx.SetStatusCode(204)
	case "/status/304":
		ctx.SetStatusCode(304)
		ctx.Response.Header.Set("ETag", `"e2e"`)
	case "/stream":
		sendStream(ctx)
	case "/sendfile":
		sendFile(ctx)
	case "/upload":
		send(ctx, 200, []byte(fmt.Sprintf("%d\n", len(ctx.PostBody()))))
	case "/upgrade":
		upgrade(ctx)
	default:
		send(ctx, 404, small)
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
	server := &fasthttp.Server{Handler: answer, MaxRequestBodySize: 1 << 30}
	address := net.JoinHostPort(os.Args[2], os.Args[1])
	if len(os.Args) > 3 && os.Args[3] == "prefork" {
		panic(prefork.New(server).ListenAndServe(address))
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		panic(err)
	}
	if len(os.Args) > 3 {
		done := make(chan os.Signal, 1)
		signal.Notify(done, syscall.SIGTERM)
		go server.Serve(l)
		<-done
		server.Shutdown()
		return
	}
	panic(server.Serve(l))
}
