// Command adapter serves the custom metrics API of a rig from values that a test posts.
// It is custom-metrics-apiserver's own test provider behind two loopback addresses that
// can be chosen: the ready-made test adapter always takes port 8080 on every interface.
package main

import (
	"context"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/emicklei/go-restful/v3"
	"k8s.io/component-base/logs"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/cmd"
	"sigs.k8s.io/custom-metrics-apiserver/test-adapter/provider"
)

// A value that is posted slowly is a hung test.
const headerTimeout = 3 * time.Second

func main() {
	logs.InitLogs()
	defer logs.FlushLogs()
	adapter := &cmd.AdapterBase{Name: "rig-metrics-adapter"}
	address := adapter.Flags().String("write-address", "127.0.0.1:0", "where values are posted")
	fail(adapter.Flags().Parse(os.Args))

	client, err := adapter.DynamicClient()
	fail(err)
	mapper, err := adapter.RESTMapper()
	fail(err)
	metrics, writes := provider.NewFakeProvider(client, mapper)
	adapter.WithCustomMetrics(metrics)
	adapter.WithExternalMetrics(metrics)

	listener, err := net.Listen("tcp", *address)
	fail(err)
	handler := restful.NewContainer()
	handler.Add(writes)
	server := &http.Server{Handler: handler, ReadHeaderTimeout: headerTimeout}
	go func() { fail(server.Serve(listener)) }()
	fail(adapter.Run(context.Background()))
}

func fail(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
