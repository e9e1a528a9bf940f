package xds

import (
	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	internalv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/bootstrap/internal_listener/v3"
	"google.golang.org/protobuf/encoding/protojson"
)

// Static is the whole of Translate's result as a bootstrap in JSON that stands
// alone, for "envoy --mode validate". It holds private keys.
func Static(o Options, targets []Target) ([]byte, error) {
	r, err := translate(o, targets, true)
	if err != nil {
		return nil, err
	}
	b := new(builder)
	out := &bootstrapv3.Bootstrap{
		Node: &corev3.Node{Id: "validate", Cluster: "weir"},
		BootstrapExtensions: []*corev3.TypedExtensionConfig{{
			Name:        "envoy.bootstrap.internal_listener",
			TypedConfig: b.pack(&internalv3.InternalListener{}),
		}},
		StaticResources: &bootstrapv3.Bootstrap_StaticResources{
			Listeners: r.Listeners, Clusters: r.Clusters, Secrets: r.Secrets,
		},
	}
	return protojson.MarshalOptions{UseProtoNames: true}.Marshal(out)
}
