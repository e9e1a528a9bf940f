package envoy

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	overloadv3 "github.com/envoyproxy/go-control-plane/envoy/config/overload/v3"
	internalv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/bootstrap/internal_listener/v3"
	connectionsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/resource_monitors/downstream_connections/v3"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
)

// BootstrapConfig is what an Envoy must know before weir tells it the rest.
type BootstrapConfig struct {
	// NodeID tells this Envoy from others in weir's status. The host's name when
	// empty.
	NodeID string
	// XDS is where weir is.
	XDS Server
	// Admin is the address of Envoy's admin interface: "unix:" and a path, or a
	// loopback host:port, where port 0 takes a free one. Empty is none. Whoever
	// reaches it can stop Envoy.
	Admin string
	// MaxConnections bounds the connections of all clients together. 50,000 when 0.
	MaxConnections int
}

const xdsCluster = "xds"

// Bootstrap writes an Envoy's bootstrap in YAML. It holds no secret.
func Bootstrap(c BootstrapConfig) ([]byte, error) {
	if c.NodeID == "" {
		host, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("envoy bootstrap: %w", err)
		}
		c.NodeID = host
	}
	if c.MaxConnections == 0 {
		c.MaxConnections = 50_000
	}
	admin, err := c.admin()
	if err != nil {
		return nil, fmt.Errorf("envoy bootstrap: %w", err)
	}
	cluster, err := c.XDS.cluster()
	if err != nil {
		return nil, fmt.Errorf("envoy bootstrap: %w", err)
	}
	internal, err := anypb.New(&internalv3.InternalListener{})
	if err != nil {
		return nil, err
	}
	overload, err := overloadManager(c.MaxConnections)
	if err != nil {
		return nil, err
	}
	b := &bootstrapv3.Bootstrap{
		Node:                &corev3.Node{Id: c.NodeID, Cluster: "weir"},
		Admin:               admin,
		BootstrapExtensions: []*corev3.TypedExtensionConfig{{Name: "envoy.bootstrap.internal_listener", TypedConfig: internal}},
		DynamicResources:    dynamicResources(),
		StaticResources:     &bootstrapv3.Bootstrap_StaticResources{Clusters: []*clusterv3.Cluster{cluster}},
		OverloadManager:     overload,
	}
	if err := b.ValidateAll(); err != nil {
		return nil, fmt.Errorf("envoy bootstrap: %w", err)
	}
	return asYAML(b)
}

// dynamicResources are all that weir serves, on one stream, by delta. An Envoy
// that lost weir is back within seconds.
func dynamicResources() *bootstrapv3.Bootstrap_DynamicResources {
	ads := &corev3.ConfigSource{
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
		ResourceApiVersion:    corev3.ApiVersion_V3,
	}
	retry := &corev3.RetryPolicy{RetryBackOff: &corev3.BackoffStrategy{
		BaseInterval: durationpb.New(100 * time.Millisecond), MaxInterval: durationpb.New(3 * time.Second),
	}}
	service := &corev3.GrpcService{TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{
		EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: xdsCluster, RetryPolicy: retry},
	}}
	return &bootstrapv3.Bootstrap_DynamicResources{
		CdsConfig: ads,
		LdsConfig: proto.CloneOf(ads),
		AdsConfig: &corev3.ApiConfigSource{
			ApiType:                   corev3.ApiConfigSource_DELTA_GRPC,
			TransportApiVersion:       corev3.ApiVersion_V3,
			GrpcServices:              []*corev3.GrpcService{service},
			SetNodeOnFirstMessageOnly: true,
		},
	}
}

func overloadManager(connections int) (*overloadv3.OverloadManager, error) {
	limit, err := anypb.New(&connectionsv3.DownstreamConnectionsConfig{MaxActiveDownstreamConnections: int64(connections)})
	if err != nil {
		return nil, err
	}
	return &overloadv3.OverloadManager{ResourceMonitors: []*overloadv3.ResourceMonitor{{
		Name:       "envoy.resource_monitors.global_downstream_max_connections",
		ConfigType: &overloadv3.ResourceMonitor_TypedConfig{TypedConfig: limit},
	}}}, nil
}

func (c BootstrapConfig) admin() (*bootstrapv3.Admin, error) {
	if c.Admin == "" {
		return nil, nil
	}
	if path, ok := strings.CutPrefix(c.Admin, "unix:"); ok {
		if err := checkSocket(path); err != nil {
			return nil, err
		}
		return &bootstrapv3.Admin{Address: pipe(path, 0o600)}, nil
	}
	host, port, err := splitHostPort(c.Admin)
	if err != nil {
		return nil, fmt.Errorf("the admin address: %w", err)
	}
	if ip, err := netip.ParseAddr(host); err != nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("the admin address %s is not a loopback address, and whoever reaches it can stop Envoy; use 127.0.0.1 or unix:PATH", c.Admin)
	}
	return &bootstrapv3.Admin{Address: socketAddress(host, port)}, nil
}

// asYAML writes a message the way that Envoy's documentation does.
func asYAML(m proto.Message) ([]byte, error) {
	raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return nil, err
	}
	var v any
	if err := yaml.Unmarshal(raw, &v); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return out.Bytes(), enc.Close()
}
