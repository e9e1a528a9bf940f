package xds

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	aggregatev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/aggregate/v3"
	hostsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"
	prioritiesv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/priority/previous_priorities/v3"
)

// fallbackName is the cluster of weir's own that takes a connection when no
// server does.
const fallbackName = "weir-fallback"

// headerUpstream tells weir where a tunnel leads.
const headerUpstream = "weir-upstream"

func (b *builder) fallbackCluster() {
	if b.Fallback == "" {
		return
	}
	c := b.cluster(fallbackName)
	c.LoadAssignment = assignment(fallbackName, pipe(b.Fallback))
	b.addCluster(c)
}

// headerRefused is set by weir on the CONNECT request of a client that it does not
// admit. Such a client costs no server a connection.
const headerRefused = "weir-refused"

// tunnelRoutes lead to the target, or to the fallback where weir says so.
func (b *builder) tunnelRoutes(t *Target) []*routev3.Route {
	routes := []*routev3.Route{b.tunnelRoute(t)}
	if b.Fallback == "" {
		return routes
	}
	refused := b.connectRoute(fallbackName)
	refused.Match.Headers = []*routev3.HeaderMatcher{{
		Name: headerRefused, HeaderMatchSpecifier: &routev3.HeaderMatcher_PresentMatch{PresentMatch: true},
	}}
	return append([]*routev3.Route{refused}, routes...)
}

// connectRoute makes raw TCP to a cluster of a CONNECT request, and tells weir to
// which server.
func (b *builder) connectRoute(cluster string) *routev3.Route {
	return &routev3.Route{
		Match: &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_ConnectMatcher_{
			ConnectMatcher: &routev3.RouteMatch_ConnectMatcher{},
		}},
		Action: &routev3.Route_Route{Route: &routev3.RouteAction{
			ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: cluster},
			Timeout:          duration(0),
			UpgradeConfigs: []*routev3.RouteAction_UpgradeConfig{{
				UpgradeType: "CONNECT", ConnectConfig: &routev3.RouteAction_UpgradeConfig_ConnectConfig{},
			}},
		}},
		ResponseHeadersToAdd: []*corev3.HeaderValueOption{{
			Header:       &corev3.HeaderValue{Key: headerUpstream, Value: "%UPSTREAM_REMOTE_ADDRESS%"},
			AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
		}},
	}
}

// tunnelRoute leads to a target's servers, one after the other, and where there
// is a fallback to that in the end. Only connecting is tried again: nothing has
// been sent by then.
func (b *builder) tunnelRoute(t *Target) *routev3.Route {
	route := b.connectRoute(upstreamName(t.Name))
	if n := uint32(len(t.Upstream.Endpoints)); b.Fallback != "" {
		action := route.GetRoute()
		action.ClusterSpecifier = &routev3.RouteAction_Cluster{Cluster: anyUpstreamName(t.Name)}
		action.RetryPolicy = b.connectRetries(n, n)
		b.addCluster(b.anyUpstreamCluster(t))
	}
	return route
}

// connectRetries goes to another server each time, and after so many of them to
// the next priority, which is the fallback.
func (b *builder) connectRetries(retries, servers uint32) *routev3.RetryPolicy {
	return &routev3.RetryPolicy{
		RetryOn:    "connect-failure",
		NumRetries: u32(retries),
		RetryHostPredicate: []*routev3.RetryPolicy_RetryHostPredicate{{
			Name:       "envoy.retry_host_predicates.previous_hosts",
			ConfigType: &routev3.RetryPolicy_RetryHostPredicate_TypedConfig{TypedConfig: b.pack(&hostsv3.PreviousHostsPredicate{})},
		}},
		HostSelectionRetryMaxAttempts: 3,
		RetryPriority: &routev3.RetryPolicy_RetryPriority{
			Name: "envoy.retry_priorities.previous_priorities",
			ConfigType: &routev3.RetryPolicy_RetryPriority_TypedConfig{
				TypedConfig: b.pack(&prioritiesv3.PreviousPrioritiesConfig{UpdateFrequency: int32(servers)}),
			},
		},
	}
}

// anyUpstreamCluster is the target's servers first and the fallback second. It is
// a cluster of clusters, as one that is resolved by name can hold no socket.
func (b *builder) anyUpstreamCluster(t *Target) *clusterv3.Cluster {
	c := b.cluster(anyUpstreamName(t.Name))
	c.ClusterDiscoveryType = &clusterv3.Cluster_ClusterType{ClusterType: &clusterv3.Cluster_CustomClusterType{
		Name:        "envoy.clusters.aggregate",
		TypedConfig: b.pack(&aggregatev3.ClusterConfig{Clusters: []string{upstreamName(t.Name), fallbackName}}),
	}}
	c.LbPolicy = clusterv3.Cluster_CLUSTER_PROVIDED
	return c
}
