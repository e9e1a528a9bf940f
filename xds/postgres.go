package xds

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
)

// The headers that tell weir of the client. Envoy writes them, and only Envoy.
const (
	headerClient    = "weir-client"       // host:port
	headerSNI       = "weir-sni"          // server name of the client's TLS
	headerURISAN    = "weir-peer-uri-san" // of a verified client certificate
	headerClientTLS = "weir-client-tls"   // TLS version
)

// peerHeaders are appended by Envoy; one without a value is left out.
func peerHeaders() []*corev3.HeaderValueOption {
	set := func(key, value string) *corev3.HeaderValueOption {
		return &corev3.HeaderValueOption{
			Header:       &corev3.HeaderValue{Key: key, Value: value},
			AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
		}
	}
	return []*corev3.HeaderValueOption{
		set(headerClient, "%DOWNSTREAM_REMOTE_ADDRESS%"),
		set(headerSNI, "%REQUESTED_SERVER_NAME%"),
		set(headerURISAN, "%DOWNSTREAM_PEER_URI_SAN%"),
		set(headerClientTLS, "%DOWNSTREAM_TLS_VERSION%"),
	}
}

// postgres carries raw bytes: the front listener wraps each connection into a
// CONNECT request to an internal listener of the same Envoy, where ext_proc
// sees it and the router makes it raw TCP again.
func (b *builder) postgres(t *Target) {
	inner := innerName(t.Name)
	proxy := b.tcpProxy(t, inner)
	proxy.TunnelingConfig = &tcpv3.TcpProxy_TunnelingConfig{
		Hostname:     t.Name + ".weir.internal:5432", // for logs only
		HeadersToAdd: peerHeaders(),
	}
	b.addListener(b.rawListener(t, proxy))
	b.addListener(&listenerv3.Listener{
		Name:                          inner,
		PerConnectionBufferLimitBytes: u32(b.BufferLimit),
		ListenerSpecifier:             &listenerv3.Listener_InternalListener{InternalListener: &listenerv3.Listener_InternalListenerConfig{}},
		FilterChains: []*listenerv3.FilterChain{{Filters: []*listenerv3.Filter{
			networkFilter(hcmName, b.pack(b.tunnelManager(t))),
		}}},
	})
	b.addCluster(b.innerCluster(inner))
	b.addCluster(b.upstreamCluster(t))
}

// rawListener is a target's listener on its port, for bytes as they are. It looks at
// the first of them, which PostgreSQL's clients send at once, and so goes no further
// for a connection on which nothing is said: that costs neither weir nor the server
// anything, and is closed soon.
func (b *builder) rawListener(t *Target, proxy *tcpv3.TcpProxy) *listenerv3.Listener {
	l := b.socketListener(t, &listenerv3.FilterChain{Filters: []*listenerv3.Filter{
		networkFilter("envoy.filters.network.tcp_proxy", b.pack(proxy)),
	}})
	l.ListenerFilters = []*listenerv3.ListenerFilter{b.tlsInspector()}
	l.ListenerFiltersTimeout = duration(b.FirstWord)
	return l
}

// tcpProxy passes a connection on to a cluster.
func (b *builder) tcpProxy(t *Target, cluster string) *tcpv3.TcpProxy {
	return &tcpv3.TcpProxy{
		StatPrefix:       listenerName(t.Name),
		ClusterSpecifier: &tcpv3.TcpProxy_Cluster{Cluster: cluster},
		IdleTimeout:      duration(0), // a session's idleness is judged where it can be told
		AccessLog:        b.accessLog(t, connectionLog()),
	}
}

// tunnelManager takes the CONNECT of the front listener. Its hop is HTTP/1.1, a
// connection per session: in HTTP/2 all sessions of a worker would share one
// flow-control window, and a few that do not read would freeze the rest.
func (b *builder) tunnelManager(t *Target) *hcmv3.HttpConnectionManager {
	return &hcmv3.HttpConnectionManager{
		StatPrefix:        innerName(t.Name),
		CodecType:         hcmv3.HttpConnectionManager_HTTP1,
		StreamIdleTimeout: duration(0),
		// Without, a session's end reaches the client a second late.
		DelayedCloseTimeout: duration(0),
		UpgradeConfigs:      []*hcmv3.HttpConnectionManager_UpgradeConfig{{UpgradeType: "CONNECT"}},
		RouteSpecifier: &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: &routev3.RouteConfiguration{
			Name:         innerName(t.Name),
			VirtualHosts: []*routev3.VirtualHost{{Name: t.Name, Domains: []string{"*"}, Routes: b.tunnelRoutes(t)}},
		}},
		HttpFilters: []*hcmv3.HttpFilter{b.extProc(t, &extprocv3.ExternalProcessor{
			// Before anybody has signed in, weir may let a client wait.
			MessageTimeout: duration(b.AdmissionTimeout),
		}), b.router()},
	}
}

// extProc is the external processor in the one mode that carries everything:
// no chunk is bounded in time, and either side may send whenever it likes. p has
// what only one kind of target needs.
func (b *builder) extProc(t *Target, p *extprocv3.ExternalProcessor) *hcmv3.HttpFilter {
	p.GrpcService = weirService(t)
	p.FailureModeAllow = false
	p.ProcessingMode = &extprocv3.ProcessingMode{
		RequestHeaderMode:   extprocv3.ProcessingMode_SEND,
		ResponseHeaderMode:  extprocv3.ProcessingMode_SEND,
		RequestBodyMode:     extprocv3.ProcessingMode_FULL_DUPLEX_STREAMED,
		ResponseBodyMode:    extprocv3.ProcessingMode_FULL_DUPLEX_STREAMED,
		RequestTrailerMode:  extprocv3.ProcessingMode_SEND,
		ResponseTrailerMode: extprocv3.ProcessingMode_SEND,
	}
	if p.MessageTimeout == nil {
		p.MessageTimeout = duration(b.MessageTimeout)
	}
	p.MutationRules = mutationRules()
	return httpFilter("envoy.filters.http.ext_proc", b.pack(p))
}

// weirService is weir's gRPC services, told which target asks. The client has
// no way to write that: it is metadata of Envoy's own call.
func weirService(t *Target) *corev3.GrpcService {
	return &corev3.GrpcService{
		TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: weirCluster}},
		InitialMetadata: []*corev3.HeaderValue{{Key: "weir-target", Value: t.Name}},
	}
}
