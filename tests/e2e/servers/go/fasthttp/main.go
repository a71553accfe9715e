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
	"strconv"
	"syscall"
	"time"

	"../pattern"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/prefork"
)

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
		for _, chunk := range pattern.Stream {
			w.Write(chunk)
			w.Flush()
			time.Sleep(time.Duration(ms) * time.Millisecond / time.Duration(len(pattern.Stream)))
		}
	})
}

func sendFile(ctx *fasthttp.RequestCtx) {
	ctx.SetBodyStream(pattern.SendFile(), 1<<20)
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
		send(ctx, 200, pattern.Small)
	case "/sleep":
		wait(ctx, 1)
		send(ctx, 200, pattern.Small)
	case "/big":
		send(ctx, 200, pattern.Big)
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
		send(ctx, 404, pattern.Small)
	}
}

func main() {
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
