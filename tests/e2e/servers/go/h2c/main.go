// HTTP/2 without TLS (prior knowledge), by golang.org/x/net: h2c PORT HOST
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/h2c"
)

func answer(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/upload" {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "%d\n", n)
		return
	}
	ms, _ := strconv.Atoi(r.URL.Query().Get("ms"))
	time.Sleep(time.Duration(ms) * time.Millisecond)
	for i := 0; i < 4; i++ {
		fmt.Fprintf(w, "%015x\n", i)
	}
}

func main() {
	l, err := net.Listen("tcp", net.JoinHostPort(os.Args[2], os.Args[1]))
	if err != nil {
		panic(err)
	}
	panic(http.Serve(l, h2c.NewHandler(http.HandlerFunc(answer), &http2.Server{})))
}
