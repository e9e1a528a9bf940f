package envoy

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	upstreamhttpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Server is where Envoy reaches weir's xDS.
type Server struct {
	// Socket is the path of a Unix socket, or Address a host:port: one of the two.
	Socket  string
	Address string
	// TLS is for Address. Private keys travel on this connection, so that only
	// loopback does without.
	TLS *ClientTLS
}

// ClientTLS names files on Envoy's machine.
type ClientTLS struct {
	CA          string // PEM file that signed weir's certificate
	ServerName  string // in weir's certificate
	Certificate string // of this Envoy, with Key, where weir asks for one
	Key         string
}

// cluster leads to weir, in HTTP/2.
func (s Server) cluster() (*clusterv3.Cluster, error) {
	h2 := new(corev3.Http2ProtocolOptions)
	c := &clusterv3.Cluster{
		Name:                 xdsCluster,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		ConnectTimeout:       durationpb.New(5 * time.Second),
	}
	var address *corev3.Address
	switch {
	case (s.Socket == "") == (s.Address == ""):
		return nil, errors.New("xDS needs either a socket or an address")
	case s.Socket != "":
		if err := checkSocket(s.Socket); err != nil {
			return nil, err
		}
		address = pipe(s.Socket, 0)
	default:
		host, port, err := splitHostPort(s.Address)
		if err != nil {
			return nil, fmt.Errorf("the address of xDS: %w", err)
		}
		if s.TLS == nil && !isLoopback(host) {
			return nil, fmt.Errorf("%s is not loopback: private keys would travel in clear; set up TLS", s.Address)
		}
		if _, err := netip.ParseAddr(host); err != nil {
			c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STRICT_DNS}
			c.DnsLookupFamily = clusterv3.Cluster_V4_PREFERRED
		}
		address = socketAddress(host, port)
		// A far end that has vanished is noticed and another connection made.
		h2.ConnectionKeepalive = &corev3.KeepaliveSettings{
			Interval: durationpb.New(30 * time.Second), Timeout: durationpb.New(10 * time.Second),
		}
	}
	c.LoadAssignment = &endpointv3.ClusterLoadAssignment{
		ClusterName: xdsCluster,
		Endpoints: []*endpointv3.LocalityLbEndpoints{{LbEndpoints: []*endpointv3.LbEndpoint{{
			HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: address}},
		}}}},
	}
	options, err := anypb.New(&upstreamhttpv3.HttpProtocolOptions{
		UpstreamProtocolOptions: &upstreamhttpv3.HttpProtocolOptions_ExplicitHttpConfig_{
			ExplicitHttpConfig: &upstreamhttpv3.HttpProtocolOptions_ExplicitHttpConfig{
				ProtocolConfig: &upstreamhttpv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{Http2ProtocolOptions: h2},
			},
		},
	})
	if err != nil {
		return nil, err
	}
	c.TypedExtensionProtocolOptions = map[string]*anypb.Any{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options}
	c.TransportSocket, err = s.TLS.socket()
	return c, err
}

func (t *ClientTLS) socket() (*corev3.TransportSocket, error) {
	if t == nil {
		return nil, nil
	}
	if t.CA == "" || t.ServerName == "" {
		return nil, errors.New("TLS to xDS needs a CA and a server name")
	}
	file := func(path string) *corev3.DataSource {
		return &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: path}}
	}
	common := &tlsv3.CommonTlsContext{
		AlpnProtocols: []string{"h2"},
		TlsParams:     &tlsv3.TlsParameters{TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_3, TlsMaximumProtocolVersion: tlsv3.TlsParameters_TLSv1_3},
		ValidationContextType: &tlsv3.CommonTlsContext_ValidationContext{
			ValidationContext: &tlsv3.CertificateValidationContext{TrustedCa: file(t.CA)},
		},
	}
	if t.Certificate != "" {
		common.TlsCertificates = []*tlsv3.TlsCertificate{{CertificateChain: file(t.Certificate), PrivateKey: file(t.Key)}}
	}
	ctx := &tlsv3.UpstreamTlsContext{CommonTlsContext: common}
	if ip, err := netip.ParseAddr(t.ServerName); err == nil { // SNI knows names only (RFC 6066, 3)
		common.GetValidationContext().MatchTypedSubjectAltNames = []*tlsv3.SubjectAltNameMatcher{{
			SanType: tlsv3.SubjectAltNameMatcher_IP_ADDRESS,
			Matcher: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: ip.Unmap().String()}},
		}}
	} else {
		ctx.Sni, ctx.AutoSniSanValidation = t.ServerName, true
	}
	config, err := anypb.New(ctx)
	if err != nil {
		return nil, err
	}
	return &corev3.TransportSocket{
		Name:       "envoy.transport_sockets.tls",
		ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: config},
	}, nil
}
