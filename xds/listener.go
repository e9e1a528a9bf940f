package xds

import (
	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	inspectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/anypb"
)

const hcmName = "envoy.filters.network.http_connection_manager"

// socketListener is a target's listener on its port.
func (b *builder) socketListener(t *Target, chain *listenerv3.FilterChain) *listenerv3.Listener {
	listen, err := parseListen(t.Listen)
	if err != nil {
		b.errs = append(b.errs, err)
	}
	return &listenerv3.Listener{
		Name:                          listenerName(t.Name),
		Address:                       listen.proto(),
		FilterChains:                  []*listenerv3.FilterChain{chain},
		PerConnectionBufferLimitBytes: u32(b.BufferLimit),
		// With SO_REUSEPORT a second Envoy could share the port unnoticed, and take
		// half of the clients.
		EnableReusePort: no(),
		// Sessions are few and long: without this one worker may get them all.
		ConnectionBalanceConfig: &listenerv3.Listener_ConnectionBalanceConfig{
			BalanceType: &listenerv3.Listener_ConnectionBalanceConfig_ExactBalance_{
				ExactBalance: &listenerv3.Listener_ConnectionBalanceConfig_ExactBalance{},
			},
		},
		TcpKeepalive: keepalive(),
	}
}

// keepalive notices a far end that has vanished within two minutes.
func keepalive() *corev3.TcpKeepalive {
	return &corev3.TcpKeepalive{KeepaliveProbes: u32(6), KeepaliveTime: u32(60), KeepaliveInterval: u32(10)}
}

// tlsInspector reads the server name that a client asks for.
func (b *builder) tlsInspector() *listenerv3.ListenerFilter {
	return &listenerv3.ListenerFilter{
		Name:       "envoy.filters.listener.tls_inspector",
		ConfigType: &listenerv3.ListenerFilter_TypedConfig{TypedConfig: b.pack(&inspectorv3.TlsInspector{})},
	}
}

func networkFilter(name string, config *anypb.Any) *listenerv3.Filter {
	return &listenerv3.Filter{Name: name, ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: config}}
}

func httpFilter(name string, config *anypb.Any) *hcmv3.HttpFilter {
	return &hcmv3.HttpFilter{Name: name, ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: config}}
}

// router adds no headers of Envoy's own.
func (b *builder) router() *hcmv3.HttpFilter {
	return httpFilter("envoy.filters.http.router", b.pack(&routerv3.Router{SuppressEnvoyHeaders: true}))
}

// mutationRules are what weir may do to headers: where a request goes (host,
// authority, scheme, method, x-envoy-*) is not decided by rewriting them. An
// attempt fails the exchange instead of being dropped in silence.
func mutationRules() *mutationv3.HeaderMutationRules {
	return &mutationv3.HeaderMutationRules{AllowAllRouting: no(), AllowEnvoy: no(), DisallowIsError: yes()}
}
