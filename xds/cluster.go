package xds

import (
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	upstreamhttpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/types/known/anypb"
)

// weirCluster is the name of the cluster that weir's own services are in.
const weirCluster = "weir"

// The windows of the one HTTP/2 connection between a worker and weir. Together
// they bound what Envoy keeps for clients that do not read: with a connection's
// window of 1 GiB, 800 such clients took 1.9 GB instead of 0.3.
const (
	streamWindow     = 256 << 10
	connectionWindow = 16 << 20
)

func (b *builder) weirCluster() {
	c := b.cluster(weirCluster)
	c.TypedExtensionProtocolOptions = b.protocol(&corev3.Http2ProtocolOptions{
		MaxConcurrentStreams:        u32(b.MaxSessions),
		InitialStreamWindowSize:     u32(streamWindow),
		InitialConnectionWindowSize: u32(connectionWindow),
	}, 0)
	c.ConnectTimeout = duration(time.Second)
	if b.Processor.Socket != "" {
		c.LoadAssignment = assignment(weirCluster, pipe(b.Processor.Socket))
	} else {
		b.endpoints(c, []string{b.Processor.Address})
		c.TransportSocket = b.processorTLS(b.Processor.TLS)
	}
	b.addCluster(c)
}

// innerCluster leads to an internal listener of the same Envoy.
func (b *builder) innerCluster(name string) *clusterv3.Cluster {
	c := b.cluster(name)
	c.TypedExtensionProtocolOptions = b.protocol(nil, 0)
	c.LoadAssignment = assignment(name, &corev3.Address{Address: &corev3.Address_EnvoyInternalAddress{
		EnvoyInternalAddress: &corev3.EnvoyInternalAddress{
			AddressNameSpecifier: &corev3.EnvoyInternalAddress_ServerListenerName{ServerListenerName: name},
		},
	}})
	return c
}

// upstreamCluster is the resource itself.
func (b *builder) upstreamCluster(t *Target) *clusterv3.Cluster {
	c := b.cluster(upstreamName(t.Name))
	timeout := t.Upstream.ConnectTimeout
	setDefault(&timeout, 5*time.Second)
	c.ConnectTimeout = duration(timeout)
	c.UpstreamConnectionOptions = &clusterv3.UpstreamConnectionOptions{TcpKeepalive: keepalive()}
	b.endpoints(c, t.Upstream.Endpoints)
	return c
}

// cluster is what all clusters have in common. A session is one connection and
// one request under way, so the default of 1,024 would be the number of sessions.
func (b *builder) cluster(name string) *clusterv3.Cluster {
	n := u32(b.MaxSessions)
	return &clusterv3.Cluster{
		Name:                          name,
		ClusterDiscoveryType:          &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		PerConnectionBufferLimitBytes: u32(b.BufferLimit),
		CircuitBreakers: &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{
			MaxConnections: n, MaxPendingRequests: n, MaxRequests: n,
		}}},
	}
}

// endpoints makes a cluster of IP addresses static, and any other one resolved
// by Envoy. A name that does not resolve holds up no other target.
func (b *builder) endpoints(c *clusterv3.Cluster, endpoints []string) {
	var addresses []*corev3.Address
	for _, e := range endpoints {
		a, err := parseEndpoint(e)
		if err != nil {
			b.errs = append(b.errs, err)
			continue
		}
		addresses = append(addresses, a.proto())
		if !a.isIP() {
			c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STRICT_DNS}
			c.DnsLookupFamily = clusterv3.Cluster_V4_PREFERRED
			c.WaitForWarmOnInit = no()
		}
	}
	c.LoadAssignment = assignment(c.GetName(), addresses...)
}

func assignment(cluster string, addresses ...*corev3.Address) *endpointv3.ClusterLoadAssignment {
	locality := new(endpointv3.LocalityLbEndpoints)
	for _, a := range addresses {
		locality.LbEndpoints = append(locality.LbEndpoints, &endpointv3.LbEndpoint{
			HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: a}},
		})
	}
	return &endpointv3.ClusterLoadAssignment{ClusterName: cluster, Endpoints: []*endpointv3.LocalityLbEndpoints{locality}}
}

// protocol is HTTP/2 with these options or, without, HTTP/1.1. Connections that
// have been idle for so long are closed; 0 is Envoy's default, an hour.
func (b *builder) protocol(h2 *corev3.Http2ProtocolOptions, idle time.Duration) map[string]*anypb.Any {
	explicit := new(upstreamhttpv3.HttpProtocolOptions_ExplicitHttpConfig)
	if h2 != nil {
		explicit.ProtocolConfig = &upstreamhttpv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{Http2ProtocolOptions: h2}
	} else {
		explicit.ProtocolConfig = &upstreamhttpv3.HttpProtocolOptions_ExplicitHttpConfig_HttpProtocolOptions{HttpProtocolOptions: &corev3.Http1ProtocolOptions{}}
	}
	o := &upstreamhttpv3.HttpProtocolOptions{
		UpstreamProtocolOptions: &upstreamhttpv3.HttpProtocolOptions_ExplicitHttpConfig_{ExplicitHttpConfig: explicit},
	}
	if idle > 0 {
		o.CommonHttpProtocolOptions = &corev3.HttpProtocolOptions{IdleTimeout: duration(idle)}
	}
	return map[string]*anypb.Any{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": b.pack(o)}
}
