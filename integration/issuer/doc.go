// Package issuer runs a real OpenID Connect issuer (zitadel/oidc) with fixed
// clients and people, for tests and for the demo. It is not for production: it
// keeps everything in memory and its users' passwords in clear.
//
// As a program it reads a file like this, prints its URL once it answers, and
// runs until it is told to stop:
//
//	listen: 127.0.0.1:9000           # 127.0.0.1:0 takes a free port
//	host: localhost                  # in the issuer's URL; default that of listen
//	certificate: tls.crt             # with key: serves https
//	key: tls.key
//	audience: [weir]
//	lifetime: 15m
//	clients:
//	  - {id: agent-1, secret: s3cret, claims: {idtyp: app, groups: [agents]}}
//	  - {id: agent-2, key: agent-2.pub.pem}
//	  - {id: agent-3, federated: {issuer: https://…, subject: …, jwks: https://…}}
//	  - {id: weir-cli, device: true}
//	users:
//	  - {name: alice, password: wonder, subject: alice, claims: {idtyp: user, groups: [dba]}}
//
// People sign in at /device, in a browser or by curl:
//
//	curl -d user_code=CODE -d username=alice -d password=wonder -d action=allow URL/device
package issuer
