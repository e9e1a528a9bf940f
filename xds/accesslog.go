package xds

import (
	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	streamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/stream/v3"
	"google.golang.org/protobuf/types/known/structpb"
)

// connectionLog is what a line of the access log holds. No header and no query:
// secrets are sent in both.
func connectionLog() map[string]string {
	return map[string]string{
		"start":    "%START_TIME%",
		"client":   "%DOWNSTREAM_REMOTE_ADDRESS%",
		"received": "%BYTES_RECEIVED%",
		"sent":     "%BYTES_SENT%",
		"ms":       "%DURATION%",
		"flags":    "%RESPONSE_FLAGS%",
		"upstream": "%UPSTREAM_HOST%",
	}
}

// exchangeLog is the same for an HTTP exchange.
func exchangeLog() map[string]string {
	f := connectionLog()
	f["method"] = "%REQUEST_HEADER(:METHOD)%"
	f["path"] = "%PATH(NQ)%"
	f["protocol"] = "%PROTOCOL%"
	f["code"] = "%RESPONSE_CODE%"
	return f
}

// accessLog writes lines of JSON to Envoy's standard output.
func (b *builder) accessLog(t *Target, fields map[string]string) []*accesslogv3.AccessLog {
	if !b.AccessLog {
		return nil
	}
	format := &structpb.Struct{Fields: map[string]*structpb.Value{"target": structpb.NewStringValue(t.Name)}}
	for k, v := range fields {
		format.Fields[k] = structpb.NewStringValue(v)
	}
	return []*accesslogv3.AccessLog{{
		Name: "envoy.access_loggers.stdout",
		ConfigType: &accesslogv3.AccessLog_TypedConfig{TypedConfig: b.pack(&streamv3.StdoutAccessLog{
			AccessLogFormat: &streamv3.StdoutAccessLog_LogFormat{LogFormat: &corev3.SubstitutionFormatString{
				Format: &corev3.SubstitutionFormatString_JsonFormat{JsonFormat: format},
			}},
		})},
	}}
}
