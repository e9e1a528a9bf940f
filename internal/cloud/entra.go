package cloud

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// federatedTokenFile is where the workload identity webhook puts the token of the
// cluster's own issuer (Azure Workload Identity).
const federatedTokenFile = "AZURE_FEDERATED_TOKEN_FILE"

// entra gets tokens of Entra ID: by workload identity federation where the
// environment has it, else as the machine's managed identity.
type entra struct {
	credential azcore.TokenCredential
	scope      string
}

func newEntra(cfg *Config) (*entra, error) {
	var options azcore.ClientOptions
	if cfg.Client != nil {
		options.Transport = cfg.Client
	}
	e := &entra{scope: entraScope(cfg.Address)}
	var err error
	if os.Getenv(federatedTokenFile) != "" {
		if os.Getenv("AZURE_TENANT_ID") == "" || os.Getenv("AZURE_CLIENT_ID") == "" && cfg.ClientID == "" {
			return nil, errors.New(federatedTokenFile + " is set, and not both AZURE_TENANT_ID and AZURE_CLIENT_ID (or upstream.client_id): " +
				"label the pod azure.workload.identity/use, and annotate its service account")
		}
		e.credential, err = azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
			ClientOptions: options, ClientID: cfg.ClientID,
		})
		return e, err
	}
	managed := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: options}
	if id := cfg.ClientID; id != "" {
		managed.ID = azidentity.ClientID(id)
	} else if id := os.Getenv("AZURE_CLIENT_ID"); id != "" {
		managed.ID = azidentity.ClientID(id)
	}
	e.credential, err = azidentity.NewManagedIdentityCredential(managed)
	return e, err
}

// entraScope names the databases of the cloud that an address is in (Azure
// Database for PostgreSQL, "Microsoft Entra authentication").
func entraScope(address string) string {
	host, _, _ := strings.Cut(address, ":")
	for suffix, resource := range map[string]string{
		".chinacloudapi.cn":  "https://ossrdbms-aad.database.chinacloudapi.cn",
		".usgovcloudapi.net": "https://ossrdbms-aad.database.usgovcloudapi.net",
	} {
		if strings.HasSuffix(host, suffix) {
			return resource + "/.default"
		}
	}
	return "https://ossrdbms-aad.database.windows.net/.default"
}

func (e *entra) fetch(ctx context.Context) (token, error) {
	got, err := e.credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{e.scope}})
	return token{text: got.Token, expires: got.ExpiresOn}, err
}
