package xds

import "os"

// SystemRoots is the file in which this system keeps the certificates that it
// trusts, or "" if there is none where such files are kept. SSL_CERT_FILE, if
// set, is the only place.
func SystemRoots() string {
	if file := os.Getenv("SSL_CERT_FILE"); file != "" {
		return existing(file)
	}
	return existing(
		"/etc/ssl/certs/ca-certificates.crt",                // Debian, Ubuntu, Arch
		"/etc/pki/tls/certs/ca-bundle.crt",                  // Fedora, RHEL
		"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // newer ones
		"/etc/ssl/ca-bundle.pem",                            // SUSE
		"/etc/ssl/cert.pem",                                 // Alpine, macOS
	)
}

func existing(files ...string) string {
	for _, f := range files {
		if info, err := os.Stat(f); err == nil && info.Mode().IsRegular() {
			return f
		}
	}
	return ""
}
