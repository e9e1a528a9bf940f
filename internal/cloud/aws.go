package cloud

import (
	"context"
	"errors"
	"net"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/rds/auth"
)

// goodFor is how long RDS takes a token (Amazon RDS, "IAM database authentication").
const goodFor = 15 * time.Minute

// rdsHost finds the region in the name of an instance or a cluster.
var rdsHost = regexp.MustCompile(`\.([a-z0-9-]+)\.rds\.amazonaws\.com(\.cn)?$`)

// awsRDS signs tokens of RDS with credentials of the SDK's chain: environment,
// shared files, web identity, container, instance metadata.
type awsRDS struct {
	credentials           aws.CredentialsProvider
	address, region, user string
	now                   func() time.Time
}

func newAWS(ctx context.Context, cfg *Config) (*awsRDS, error) {
	found, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, err
	}
	a := &awsRDS{credentials: found.Credentials, address: cfg.Address, region: cfg.Region, user: cfg.User, now: time.Now}
	if a.region == "" {
		if host, _, err := net.SplitHostPort(cfg.Address); err == nil {
			if m := rdsHost.FindStringSubmatch(host); m != nil {
				a.region = m[1]
			}
		}
	}
	if a.region == "" {
		a.region = found.Region
	}
	if a.region == "" {
		return nil, errors.New("the database's region is not known: write upstream.region")
	}
	return a, nil
}

func (a *awsRDS) fetch(ctx context.Context) (token, error) {
	credentials, err := a.credentials.Retrieve(ctx)
	if err != nil {
		return token{}, err
	}
	expires := a.now().Add(goodFor)
	if credentials.CanExpire && credentials.Expires.Before(expires) {
		expires = credentials.Expires // RDS refuses what they signed from then on
	}
	these := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return credentials, nil })
	text, err := auth.BuildAuthToken(ctx, a.address, a.region, a.user, these)
	return token{text: text, expires: expires}, err
}
