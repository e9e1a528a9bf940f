package cloud

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const rdsAddress = "orders.abcdefg.eu-central-1.rds.amazonaws.com:5432"

// checkRDS verifies a token as RDS does: AWS Signature Version 4 in the query,
// recomputed with the secret key.
func checkRDS(t *testing.T, token, host, region, user, access, secret, session string) {
	t.Helper()
	u, err := url.Parse("https://" + token)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	at, err := time.Parse("20060102T150405Z", q.Get("X-Amz-Date"))
	if err != nil || time.Since(at) > time.Minute {
		t.Errorf("signed at %q", q.Get("X-Amz-Date"))
	}
	day := at.Format("20060102")
	scope := day + "/" + region + "/rds-db/aws4_request"
	for name, want := range map[string]string{
		"Action": "connect", "DBUser": user, "X-Amz-Expires": "900", "X-Amz-SignedHeaders": "host",
		"X-Amz-Credential": access + "/" + scope, "X-Amz-Security-Token": session,
	} {
		if got := q.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if u.Host != host {
		t.Errorf("for %q", u.Host)
	}
	signature := q.Get("X-Amz-Signature")
	q.Del("X-Amz-Signature")
	canonical := "GET\n/\n" + strings.ReplaceAll(q.Encode(), "+", "%20") + "\nhost:" + host + "\n\nhost\n" + hash("")
	text := "AWS4-HMAC-SHA256\n" + q.Get("X-Amz-Date") + "\n" + scope + "\n" + hash(canonical)
	key := []byte("AWS4" + secret)
	for _, part := range []string{day, region, "rds-db", "aws4_request", text} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	if got := hex.EncodeToString(key); got != signature {
		t.Error("the signature is not that of the secret key")
	}
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func TestAWSEnvironment(t *testing.T) {
	for name, tc := range map[string]struct{ address, given, env, region string }{
		"the address tells": {rdsAddress, "", "us-west-2", "eu-central-1"},
		"a cluster":         {"c.cluster-ro-abc.us-east-1.rds.amazonaws.com:5432", "", "", "us-east-1"},
		"the configuration": {rdsAddress, "eu-west-1", "", "eu-west-1"},
		"the environment":   {"db.internal:5432", "", "us-west-2", "us-west-2"},
		"another's domain":  {"x.eu-west-3.rds.amazonaws.com.example.com:5432", "", "us-west-2", "us-west-2"},
	} {
		t.Run(name, func(t *testing.T) {
			bare(t)
			t.Setenv("AWS_ACCESS_KEY_ID", "AKID")
			t.Setenv("AWS_SECRET_ACCESS_KEY", "the secret key")
			t.Setenv("AWS_REGION", tc.env)
			s := open(t, Config{Kind: AWSRDS, Address: tc.address, User: "weir orders", Region: tc.given})
			got, err := s.Token(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			checkRDS(t, got, tc.address, tc.region, "weir orders", "AKID", "the secret key", "")
			want(t, s, got)
		})
	}
}

func TestAWSWithoutRegion(t *testing.T) {
	bare(t)
	_, err := New(t.Context(), Config{Kind: AWSRDS, Address: "db.internal:5432"}, nil)
	if err == nil || err.Error() != "aws_rds: the database's region is not known: write upstream.region" {
		t.Error(err)
	}
}

func stsXML(access, secret, session string, expires time.Time) string {
	return fmt.Sprintf(`<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
<Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>%s</SessionToken><Expiration>%s</Expiration></Credentials>
</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`, access, secret, session, expires.UTC().Format(time.RFC3339))
}

// webIdentity is STS, and a pod whose service account has a role.
func webIdentity(t *testing.T, answer http.HandlerFunc) *local {
	bare(t)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /", answer)
	l := serve(t, false, mux)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("token.of.the-cluster"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ENDPOINT_URL_STS", l.URL)
	t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", file)
	t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/weir")
	t.Setenv("AWS_REGION", "eu-central-1")
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	return l
}

func TestAWSWebIdentity(t *testing.T) {
	webIdentity(t, func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		expects(t, r, r.PostForm, "Action", "AssumeRoleWithWebIdentity", "RoleArn", "arn:aws:iam::123456789012:role/weir", "WebIdentityToken", "token.of.the-cluster")
		w.Header().Set("Content-Type", "text/xml")
		fmt.Fprint(w, stsXML("ASIA", "the secret key", "the session token", time.Now().Add(10*time.Minute)))
	})
	s := open(t, Config{Kind: AWSRDS, Address: rdsAddress, User: "weir"})
	got, err := s.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	checkRDS(t, got, rdsAddress, "eu-central-1", "weir", "ASIA", "the secret key", "the session token")
	if left := time.Until(s.have.Load().expires); left > 10*time.Minute {
		t.Errorf("kept for %v, longer than the credentials are good", left)
	}
}

func TestAWSWebIdentityIsRefused(t *testing.T) {
	webIdentity(t, func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>Not authorized to perform sts:AssumeRoleWithWebIdentity with %s</Message></Error></ErrorResponse>`,
			strings.Repeat(r.PostForm.Get("WebIdentityToken"), 3))
	})
	got := refused(t, open(t, Config{Kind: AWSRDS, Address: rdsAddress, User: "weir"}))
	if !strings.Contains(got, "AccessDenied") || strings.Contains(got, "of.the-cluster") || strings.Contains(got, "\n") {
		t.Errorf("told %q", got)
	}
}

func TestAWSInstanceMetadata(t *testing.T) {
	bare(t)
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /latest/api/token", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
		fmt.Fprint(w, "imds-session")
	})
	guarded := func(answer string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Aws-Ec2-Metadata-Token") != "imds-session" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			fmt.Fprint(w, answer)
		}
	}
	mux.HandleFunc("GET /latest/meta-data/iam/security-credentials/", guarded("weir-role"))
	mux.HandleFunc("GET /latest/meta-data/iam/security-credentials/weir-role", guarded(`{"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": "ASIA",
		"SecretAccessKey": "the secret key", "Token": "the session token", "Expiration": "`+time.Now().Add(6*time.Hour).UTC().Format(time.RFC3339)+`"}`))
	l := serve(t, false, mux)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", l.URL)
	got, err := open(t, Config{Kind: AWSRDS, Address: rdsAddress, User: "weir"}).Token(t.Context())
	if err != nil {
		t.Fatalf("%v; asked:\n%s", err, l.requests())
	}
	checkRDS(t, got, rdsAddress, "eu-central-1", "weir", "ASIA", "the secret key", "the session token")
}
