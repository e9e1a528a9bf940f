package xds

import (
	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extauthzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	headerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
)

// requestAttributes are what Envoy tells ext_proc of an HTTP client.
func requestAttributes() []string {
	return []string{
		"source.address",
		"connection.mtls",
		"connection.requested_server_name",
		"connection.tls_version",
		"connection.uri_san_peer_certificate",
	}
}

// responseAttributes tell whether the target answered, or Envoy because it did not.
func responseAttributes() []string { return []string{"response.code_details"} }

// httpFilters are, in the order of a request: cleaning what the client may not
// say, judging, cleaning what weir and the client may not say to the upstream,
// sending. A response goes the other way round.
func (b *builder) httpFilters(t *Target) []*hcmv3.HttpFilter {
	// x-envoy-* from a client would switch on retries, and a repeated request is
	// one that nobody judged.
	clean := []*mutationv3.HeaderMutation{removePrefix("weir-"), removePrefix("x-envoy-")}
	if t.Inspect == Headers {
		for _, h := range peerHeaders() {
			clean = append(clean, &mutationv3.HeaderMutation{Action: &mutationv3.HeaderMutation_Append{Append: h}})
		}
		return []*hcmv3.HttpFilter{
			b.mutate("weir.client", &headerv3.Mutations{RequestMutations: clean}),
			b.extAuthz(t),
			b.mutate("weir.upstream", &headerv3.Mutations{
				RequestMutations: removePeerHeaders(), ResponseMutations: []*mutationv3.HeaderMutation{removePrefix("weir-")},
			}),
			b.router(),
		}
	}
	return []*hcmv3.HttpFilter{
		b.mutate("weir.client", &headerv3.Mutations{RequestMutations: clean}),
		// weir takes the length away itself where it changes a body.
		b.extProc(t, &extprocv3.ExternalProcessor{
			RequestAttributes: requestAttributes(), ResponseAttributes: responseAttributes(), AllowContentLengthHeader: true,
		}),
		b.mutate("weir.upstream", &headerv3.Mutations{ResponseMutations: []*mutationv3.HeaderMutation{removePrefix("weir-")}}),
		b.router(),
	}
}

func (b *builder) mutate(name string, m *headerv3.Mutations) *hcmv3.HttpFilter {
	return httpFilter(name, b.pack(&headerv3.HeaderMutation{Mutations: m}))
}

func removePrefix(prefix string) *mutationv3.HeaderMutation {
	match := &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: prefix}, IgnoreCase: true}
	return &mutationv3.HeaderMutation{Action: &mutationv3.HeaderMutation_RemoveOnMatch_{
		RemoveOnMatch: &mutationv3.HeaderMutation_RemoveOnMatch{KeyMatcher: match},
	}}
}

// removePeerHeaders takes out what Envoy wrote for weir only.
func removePeerHeaders() []*mutationv3.HeaderMutation {
	var out []*mutationv3.HeaderMutation
	for _, h := range peerHeaders() {
		out = append(out, &mutationv3.HeaderMutation{Action: &mutationv3.HeaderMutation_Remove{Remove: h.GetHeader().GetKey()}})
	}
	return out
}

// extAuthz asks weir about the headers alone. When weir does not answer, the
// client gets 503 and the upstream nothing.
func (b *builder) extAuthz(t *Target) *hcmv3.HttpFilter {
	service := weirService(t)
	service.Timeout = duration(b.HoldTimeout)
	return httpFilter("envoy.filters.http.ext_authz", b.pack(&extauthzv3.ExtAuthz{
		Services:                   &extauthzv3.ExtAuthz_GrpcService{GrpcService: service},
		TransportApiVersion:        corev3.ApiVersion_V3,
		FailureModeAllow:           false,
		StatusOnError:              &typev3.HttpStatus{Code: typev3.StatusCode_ServiceUnavailable},
		ValidateMutations:          true,
		IncludeTlsSession:          true,
		DecoderHeaderMutationRules: mutationRules(),
	}))
}
