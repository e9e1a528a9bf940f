package xds

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const tlsSocket = "envoy.transport_sockets.tls"

// listenerTLS is the server's side, with its certificate in a secret.
func (b *builder) listenerTLS(t *Target) *corev3.TransportSocket {
	if t.TLS == nil {
		return nil
	}
	common := commonTLS()
	common.AlpnProtocols = []string{"h2", "http/1.1"}
	common.TlsCertificateSdsSecretConfigs = []*tlsv3.SdsSecretConfig{b.secret(&tlsv3.Secret{
		Name: "tls-" + t.Name,
		Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
			CertificateChain: inlineText(t.TLS.Certificate),
			PrivateKey:       inlineText(string(t.TLS.Key)),
		}},
	})}
	if t.TLS.ClientCA != "" {
		common.ValidationContextType = &tlsv3.CommonTlsContext_ValidationContextSdsSecretConfig{
			ValidationContextSdsSecretConfig: b.secret(validation("clients-"+t.Name, &tlsv3.CertificateValidationContext{
				TrustedCa: inlineText(t.TLS.ClientCA),
			})),
		}
	}
	return b.tlsSocket(&tlsv3.DownstreamTlsContext{
		CommonTlsContext:         common,
		RequireClientCertificate: wrapperspb.Bool(t.TLS.RequireClient),
	})
}

// upstreamTLS is the client's side. The upstream's certificate is always
// verified, with its name.
func (b *builder) upstreamTLS(t *Target) *corev3.TransportSocket {
	u := t.Upstream.TLS
	if u == nil {
		return nil
	}
	common := commonTLS()
	common.AlpnProtocols = []string{"http/1.1"}
	if t.Upstream.HTTP2 {
		common.AlpnProtocols = []string{"h2"}
	}
	trust := new(tlsv3.CertificateValidationContext)
	ctx := &tlsv3.UpstreamTlsContext{CommonTlsContext: common}
	if u.ServerName != "" {
		ctx.Sni, ctx.AutoSniSanValidation = u.ServerName, true
	} else {
		b.endpointNames(t, ctx, trust)
	}
	switch {
	case u.CA != "":
		trust.TrustedCa = inlineText(u.CA)
		common.ValidationContextType = &tlsv3.CommonTlsContext_ValidationContextSdsSecretConfig{
			ValidationContextSdsSecretConfig: b.secret(validation("ca-"+t.Name, trust)),
		}
	case b.SystemRoots != "":
		trust.TrustedCa = &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: b.SystemRoots}}
		common.ValidationContextType = &tlsv3.CommonTlsContext_ValidationContext{ValidationContext: trust}
	default:
		b.errs = append(b.errs, errors.New("the upstream's certificate cannot be verified: no file of trusted roots was found on this system; set upstream.ca"))
	}
	return b.tlsSocket(ctx)
}

// endpointNames has the certificate carry the endpoint's own host. SNI knows
// names only (RFC 6066, 3), so IP addresses are matched as such.
func (b *builder) endpointNames(t *Target, ctx *tlsv3.UpstreamTlsContext, trust *tlsv3.CertificateValidationContext) {
	names := map[string]bool{}
	for _, e := range t.Upstream.Endpoints {
		a, err := parseEndpoint(e)
		if err != nil {
			continue // reported before
		}
		if !a.isIP() {
			names[a.host] = true
			ctx.Sni, ctx.AutoSniSanValidation = a.host, true
			continue
		}
		trust.MatchTypedSubjectAltNames = append(trust.MatchTypedSubjectAltNames, ipName(a.ip()))
	}
	if len(names) > 1 || len(names) == 1 && len(trust.MatchTypedSubjectAltNames) > 0 {
		b.errs = append(b.errs, errors.New("the upstream's addresses have different hosts; say which name is in its certificate with upstream.server_name"))
	}
}

// secret delivers s by SDS, or as a static one when inline.
func (b *builder) secret(s *tlsv3.Secret) *tlsv3.SdsSecretConfig {
	b.addSecret(s)
	ref := &tlsv3.SdsSecretConfig{Name: s.GetName()}
	if !b.inline {
		ref.SdsConfig = byADS()
	}
	return ref
}

func validation(name string, c *tlsv3.CertificateValidationContext) *tlsv3.Secret {
	return &tlsv3.Secret{Name: name, Type: &tlsv3.Secret_ValidationContext{ValidationContext: c}}
}

func (b *builder) tlsSocket(ctx message) *corev3.TransportSocket {
	return &corev3.TransportSocket{Name: tlsSocket, ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: b.pack(ctx)}}
}

// processorTLS protects the way to weir when Envoy runs elsewhere.
func (b *builder) processorTLS(p *ProcessorTLS) *corev3.TransportSocket {
	if p == nil {
		return nil
	}
	file := func(path string) *corev3.DataSource {
		return &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: path}}
	}
	common := commonTLS()
	common.AlpnProtocols = []string{"h2"}
	common.ValidationContextType = &tlsv3.CommonTlsContext_ValidationContext{
		ValidationContext: &tlsv3.CertificateValidationContext{TrustedCa: file(p.CA)},
	}
	if p.Certificate != "" {
		common.TlsCertificates = []*tlsv3.TlsCertificate{{CertificateChain: file(p.Certificate), PrivateKey: file(p.Key)}}
	}
	ctx := &tlsv3.UpstreamTlsContext{CommonTlsContext: common}
	if ip, err := netip.ParseAddr(p.ServerName); err == nil { // SNI knows names only (RFC 6066, 3)
		common.GetValidationContext().MatchTypedSubjectAltNames = []*tlsv3.SubjectAltNameMatcher{ipName(ip)}
	} else {
		ctx.Sni, ctx.AutoSniSanValidation = p.ServerName, true
	}
	return b.tlsSocket(ctx)
}

// ipName matches an IP address in a certificate.
func ipName(ip netip.Addr) *tlsv3.SubjectAltNameMatcher {
	return &tlsv3.SubjectAltNameMatcher{
		SanType: tlsv3.SubjectAltNameMatcher_IP_ADDRESS,
		Matcher: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: ip.Unmap().String()}},
	}
}

func commonTLS() *tlsv3.CommonTlsContext {
	return &tlsv3.CommonTlsContext{TlsParams: &tlsv3.TlsParameters{
		TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_2,
		TlsMaximumProtocolVersion: tlsv3.TlsParameters_TLSv1_3,
	}}
}

func inlineText(s string) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: s}}
}

func (l *ListenerTLS) check() error {
	var errs []error
	if _, err := tls.X509KeyPair([]byte(l.Certificate), []byte(l.Key)); err != nil {
		errs = append(errs, fmt.Errorf("its certificate and key cannot be used: %w", err))
	}
	if l.ClientCA != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(l.ClientCA)) {
		errs = append(errs, errors.New("the CA for clients is not PEM"))
	}
	if l.RequireClient && l.ClientCA == "" {
		errs = append(errs, errors.New("client certificates are required, but no CA for clients is set"))
	}
	return errors.Join(errs...)
}

func (u *UpstreamTLS) check() error {
	if u.CA != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(u.CA)) {
		return errors.New("upstream.ca is not PEM")
	}
	return nil
}
