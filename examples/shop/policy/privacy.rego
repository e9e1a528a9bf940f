# Who sees what of the shop's customers, in the database and in the API alike.
package weir.rules.privacy

import rego.v1

may_see_all if "group:privacy" in input.principal.roles

mask contains {"class": "pii.ssn", "with": "partial", "keep_last": 4} if not may_see_all

mask contains {"class": "pci.pan", "with": "partial", "keep_last": 4} if not may_see_all

mask contains {"class": "pii.email", "with": "hash"} if not may_see_all
