package xds

import (
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
)

// http judges each exchange. What may change while connections live is kept out
// of the listener: certificates are secrets (SDS), timeouts and the host are a
// route (RDS).
func (b *builder) http(t *Target) {
	chain := &listenerv3.FilterChain{
		Filters:         []*listenerv3.Filter{networkFilter(hcmName, b.pack(b.httpManager(t)))},
		TransportSocket: b.listenerTLS(t),
	}
	l := b.socketListener(t, chain)
	if t.TLS != nil {
		l.ListenerFilters = []*listenerv3.ListenerFilter{b.tlsInspector()}
		chain.TransportSocketConnectTimeout = duration(15 * time.Second) // for a client that says nothing
	}
	b.addListener(l)
	c := b.upstreamCluster(t)
	var h2 *corev3.Http2ProtocolOptions
	if t.Upstream.HTTP2 {
		h2 = &corev3.Http2ProtocolOptions{}
	}
	// Shorter than servers usually keep idle connections, so that a request
	// seldom meets one that is just being closed: nothing is ever sent twice.
	c.TypedExtensionProtocolOptions = b.protocol(h2, 30*time.Second)
	c.TransportSocket = b.upstreamTLS(t)
	b.addCluster(c)
}

// httpManager follows Envoy's advice for an edge proxy: the client is the peer
// of the connection, nothing that it says about itself is believed, and a path
// has one spelling only.
func (b *builder) httpManager(t *Target) *hcmv3.HttpConnectionManager {
	m := &hcmv3.HttpConnectionManager{
		StatPrefix:                   listenerName(t.Name),
		CodecType:                    hcmv3.HttpConnectionManager_AUTO,
		HttpFilters:                  b.httpFilters(t),
		UpgradeConfigs:               []*hcmv3.HttpConnectionManager_UpgradeConfig{{UpgradeType: "websocket"}},
		UseRemoteAddress:             yes(),
		InternalAddressConfig:        &hcmv3.HttpConnectionManager_InternalAddressConfig{}, // nobody is internal
		NormalizePath:                yes(),
		MergeSlashes:                 true,
		PathWithEscapedSlashesAction: hcmv3.HttpConnectionManager_REJECT_REQUEST,
		ServerHeaderTransformation:   hcmv3.HttpConnectionManager_PASS_THROUGH,
		MaxRequestHeadersKb:          u32(b.MaxHeaderKB),
		RequestHeadersTimeout:        duration(30 * time.Second),
		CommonHttpProtocolOptions: &corev3.HttpProtocolOptions{
			IdleTimeout:                  duration(time.Hour),
			HeadersWithUnderscoresAction: corev3.HttpProtocolOptions_REJECT_REQUEST,
		},
		Http2ProtocolOptions: &corev3.Http2ProtocolOptions{
			MaxConcurrentStreams:        u32(100),
			MaxHeaderFieldSizeKb:        u32(b.MaxHeaderKB),
			InitialStreamWindowSize:     u32(streamWindow),
			InitialConnectionWindowSize: u32(4 << 20),
		},
		AccessLog: b.accessLog(t, exchangeLog()),
	}
	b.setRoutes(m, httpRoutes(t))
	return m
}

func httpRoutes(t *Target) *routev3.RouteConfiguration {
	action := &routev3.RouteAction{
		ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: upstreamName(t.Name)},
		Timeout:          duration(t.Timeout),
		IdleTimeout:      duration(t.Idle),
	}
	if t.Host != "" {
		action.HostRewriteSpecifier = &routev3.RouteAction_HostRewriteLiteral{HostRewriteLiteral: t.Host}
	}
	return &routev3.RouteConfiguration{
		Name: listenerName(t.Name),
		VirtualHosts: []*routev3.VirtualHost{{
			Name:    t.Name,
			Domains: []string{"*"},
			Routes: []*routev3.Route{{
				Match:  &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
				Action: &routev3.Route_Route{Route: action},
			}},
		}},
	}
}

// setRoutes delivers routes by RDS, or with the listener when inline.
func (b *builder) setRoutes(m *hcmv3.HttpConnectionManager, routes *routev3.RouteConfiguration) {
	b.validate(routes)
	if b.inline {
		m.RouteSpecifier = &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: routes}
		return
	}
	b.out.Routes = append(b.out.Routes, routes)
	m.RouteSpecifier = &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{
		ConfigSource:    byADS(),
		RouteConfigName: routes.GetName(),
	}}
}

func byADS() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
		ResourceApiVersion:    corev3.ApiVersion_V3,
	}
}
