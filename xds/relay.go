package xds

import (
	"errors"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	proxyprotocolv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/proxy_protocol/v3"
	rawv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/raw_buffer/v3"
)

// The TLVs of the PROXY header that tell weir of the target and its client
// (package internal/relay reads them).
const (
	tlvTarget     = 0xE0
	tlvServerName = 0xE2
	tlvURISAN     = 0xE3
	tlvTLS        = 0xE4
)

// relay hands each connection to weir over a Unix socket, with a PROXY header in
// front. The cluster is made for the target, so that the TLV with its name cannot
// come from a client; the others are of what Envoy knows of the client's connection.
func (b *builder) relay(t *Target) {
	if b.Relay == "" {
		b.errs = append(b.errs, errors.New("transport relay needs a Unix socket, so it is for an Envoy that weir starts; use ext_proc"))
		return
	}
	proxy := b.tcpProxy(t, relayName(t.Name))
	// When weir has ended a session, Envoy tells the client that nothing follows,
	// and keeps the connection until the client closes it or says something. Of who
	// does neither, this is the end.
	proxy.IdleTimeout = duration(t.Idle)
	proxy.ProxyProtocolTlvs = []*corev3.TlvEntry{
		formattedTLV(tlvServerName, "%REQUESTED_SERVER_NAME%"),
		formattedTLV(tlvURISAN, "%DOWNSTREAM_PEER_URI_SAN%"),
		formattedTLV(tlvTLS, "%DOWNSTREAM_TLS_VERSION%"),
	}
	b.addListener(b.rawListener(t, proxy))
	b.addCluster(b.relayCluster(t))
}

func formattedTLV(typ uint32, format string) *corev3.TlvEntry {
	return &corev3.TlvEntry{Type: typ, FormatString: &corev3.SubstitutionFormatString{
		Format: &corev3.SubstitutionFormatString_TextFormatSource{TextFormatSource: &corev3.DataSource{
			Specifier: &corev3.DataSource_InlineString{InlineString: format},
		}},
	}}
}

// relayCluster is weir's socket, as the way to one target.
func (b *builder) relayCluster(t *Target) *clusterv3.Cluster {
	c := b.cluster(relayName(t.Name))
	c.ConnectTimeout = duration(time.Second)
	c.LoadAssignment = assignment(c.GetName(), pipe(b.Relay))
	c.TransportSocket = &corev3.TransportSocket{
		Name: "envoy.transport_sockets.upstream_proxy_protocol",
		ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: b.pack(&proxyprotocolv3.ProxyProtocolUpstreamTransport{
			Config: &corev3.ProxyProtocolConfig{
				Version: corev3.ProxyProtocolConfig_V2,
				// Without this the listener's TLVs are not sent.
				PassThroughTlvs: &corev3.ProxyProtocolPassThroughTLVs{
					MatchType: corev3.ProxyProtocolPassThroughTLVs_INCLUDE,
					TlvType:   []uint32{tlvServerName, tlvURISAN, tlvTLS},
				},
				AddedTlvs: []*corev3.TlvEntry{{Type: tlvTarget, Value: []byte(t.Name)}},
			},
			TransportSocket: &corev3.TransportSocket{
				Name:       "envoy.transport_sockets.raw_buffer",
				ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: b.pack(&rawv3.RawBuffer{})},
			},
		})},
	}
	return c
}
