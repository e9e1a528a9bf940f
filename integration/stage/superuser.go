package stage

import "fmt"

// CreateSuperuser is the SQL that makes a superuser, whose password is the one that the
// gateway has for the shop.
func CreateSuperuser(name string) string {
	return fmt.Sprintf("CREATE ROLE %s SUPERUSER LOGIN PASSWORD '%s'", name, Credentials()["shop"])
}

// AddSuperuserTarget adds a target that signs in to PostgreSQL as a superuser. Its clients
// may name any database; database is the one of who names none.
func (s *Settings) AddSuperuserTarget(name, listen, user, database string) {
	transport := ""
	if s.Transport != "" {
		transport = "transport: " + s.Transport + ", "
	}
	s.Targets += fmt.Sprintf("  %s: {kind: postgres, listen: %s, %sdatabases: [\"*\"], upstream: {address: %s, user: %s, password: secret:shop, database: %s, tls: verify-full, ca: file:%s, server_name: localhost}}\n",
		name, listen, transport, s.Database, user, database, s.CA)
}
